package main

import (
	"fmt"
	"io"
	"time"
)

// raceResult is what a race came to. The served, the refused and the busiest window come from the APIs' own records.
type raceResult struct {
	Events      int           `json:"limit_events"`
	Per         time.Duration `json:"limit_per_ns"`
	Users       int           `json:"users"`
	Seed        uint64        `json:"seed"`
	Elapsed     time.Duration `json:"elapsed_ns"`
	Interrupted bool          `json:"interrupted"`
	Most        int           `json:"most"` // what perfect clients could have been served in this time
	Rows        []raceRow     `json:"rows"`
	Kept        bool          `json:"kept"` // Penstock kept its promise: no 429, no window above the limit
}

// raceRow is one kind of clients.
type raceRow struct {
	Name        string  `json:"name"`
	Served      int     `json:"served"`
	Refused     int     `json:"refused_429"`
	Share       float64 `json:"share"`   // of Most
	Busiest     int     `json:"busiest"` // most requests of one user in any window
	Interactive raceSum `json:"interactive"`
	Background  raceSum `json:"background"`
}

// raceSum are the waits of one kind of requests, those included that the end cut off.
type raceSum struct {
	quantiles
	CutOff int `json:"cut_off"`
}

func (r race) score(contestants []*contestant, elapsed time.Duration) raceResult {
	result := raceResult{
		Events: r.rule.Events, Per: r.rule.Per, Users: r.users, Seed: r.seed, Elapsed: elapsed,
		Most: r.users * r.rule.Most(elapsed),
	}
	for _, c := range contestants {
		totals := c.api.Record.Totals()
		result.Rows = append(result.Rows, raceRow{
			Name: c.name, Served: totals.Served, Refused: totals.Refused, Busiest: totals.Busiest,
			Share:       float64(totals.Served) / float64(result.Most),
			Interactive: c.waits[interactive].sum(),
			Background:  c.waits[background].sum(),
		})
		if c.system != nil {
			result.Kept = totals.Refused == 0 && totals.Busiest <= r.rule.Events
		}
	}
	return result
}

func (t *tally) sum() raceSum {
	t.mu.Lock()
	defer t.mu.Unlock()
	return raceSum{t.waits.quantiles(), t.open}
}

// announce says what is about to be seen.
func (r race) announce(w io.Writer) error {
	_, err := fmt.Fprintf(w, `A strict API on this machine allows each of %d users %d requests in any %s, answers 429 beyond
that, and keeps its own record. Three kinds of clients bring it the same demand for %s: requests
that people wait for (interactive), and a backlog that always wants more (background). Penstock
is set to keep %s of distance from the limit, and a fifth of it in hand for interactive requests.

`, r.users, r.rule.Events, brief(r.rule.Per), brief(r.duration), brief(r.slack))
	return err
}

// print writes the table and how to read it.
func (r raceResult) print(w io.Writer) error {
	if r.Interrupted {
		if _, err := fmt.Fprintf(w, "Interrupted: this is how far it came in %s.\n\n", brief(r.Elapsed)); err != nil {
			return err
		}
	}
	t := table{heading: []string{"", "served", "429s", "of what the\nAPI allows", "busiest " + brief(r.Per) + "\nof a user",
		"interactive\np50", "waits\np99", "background\np50", "waits\np99"}}
	for _, row := range r.Rows {
		t.row(row.Name, grouped(row.Served), grouped(row.Refused), fmt.Sprintf("%.1f %%", 100*row.Share), grouped(row.Busiest),
			brief(row.Interactive.P50), brief(row.Interactive.P99), brief(row.Background.P50), brief(row.Background.P99))
	}
	if err := t.print(w); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, `
The API's record decides. In %s it allows %s requests: %d to each user at once, and %[3]d more
after every full %[4]s. A wait lasts from the wish to the answer 200, retries included; one that
the end cut off counts with what it had lasted. Plain retries are a lottery: who was just served
asks again at once and wins, who lost stays away longer and longer.

%[5]s
`, brief(r.Elapsed), grouped(r.Most), r.Events, brief(r.Per), r.verdict())
	return err
}

func (r raceResult) verdict() string {
	if r.Kept {
		return fmt.Sprintf("Penstock kept its promise: nothing refused, never more than %d in any %s.", r.Events, brief(r.Per))
	}
	return fmt.Sprintf("Penstock BROKE its promise: nothing refused, never more than %d in any %s.", r.Events, brief(r.Per))
}
