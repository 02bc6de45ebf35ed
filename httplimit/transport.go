package httplimit

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/bucket"
)

// Transport is an [http.RoundTripper] whose requests wait for their turn in a bucket, and which learns from answers when
// the next one may go. It is safe for concurrent use. Redirects that an [http.Client] follows are requests of their
// own and take their own permits.
type Transport struct {
	base     http.RoundTripper
	family   *bucket.Family
	cfg      TransportConfig // with every default filled in, except MaxSlack
	backoffs backoffs
	widening widening
	shadow   bool // the family lets everything pass
	metrics  metrics
}

// NewTransport limits the requests of base, [http.DefaultTransport] if nil, by the buckets of family. It raises the
// family's slack as [TransportConfig] says. The error is [penstock.ErrInvalid] and names every bad field.
func NewTransport(base http.RoundTripper, family *bucket.Family, cfg TransportConfig) (*Transport, error) {
	err := cfg.validate()
	if family == nil {
		err = errors.Join(errors.New("family is nil; it takes the one whose buckets limit the requests"), err)
	}
	if err != nil {
		return nil, fmt.Errorf("%w httplimit configuration: %w", penstock.ErrInvalid, err)
	}
	if base == nil {
		base = http.DefaultTransport
	}
	t := &Transport{base: base, family: family, cfg: cfg.withDefaults(), shadow: family.Info().Shadow}
	t.backoffs.first, t.backoffs.longest = t.cfg.Backoff, t.cfg.MaxBackoff
	if err := t.metrics.start(family.System().Meter(), family.System().Name(), family.Name()); err != nil {
		return nil, fmt.Errorf("httplimit: instruments for family %q: %w", family.Name(), err)
	}

	slack := max(cfg.Slack, family.Slack())
	if slack == 0 {
		slack = defaultSlack(family.Limits())
	}
	if slack > family.Slack() {
		if err := family.SetSlack(slack); err != nil {
			return nil, fmt.Errorf("httplimit: slack of family %q: %w", family.Name(), err)
		}
	}
	t.cfg.Slack = slack
	return t, nil
}

// RoundTrip waits until it is the request's turn, sends it, and heeds what the answer teaches.
//
// The request's context ends the wait. Its error, and those with which the bucket refuses a request (see
// [bucket.Bucket.Acquire]), cost no permit. A request that was sent has spent its permit, whatever became of it.
//
// When MaxRetries allows to send a refused request again, its turn comes after the wait that the answer asked for. If
// the context's deadline comes first, or no retry is left, the caller gets the answer as it came.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	key := t.cfg.Key(req)
	b := t.family.Bucket(key)
	turn := t.cfg.request(req)
	for retries := 0; ; retries++ {
		if _, err := b.Acquire(ctx, turn); err != nil {
			closeBody(req)
			return nil, asTimeout(err)
		}
		sent := time.Now()
		t.metrics.sent.add()
		resp, err := t.base.RoundTrip(req)
		if err != nil || resp == nil {
			return resp, err
		}
		until, again := t.heed(b, key, resp, sent)
		if deadline, ok := ctx.Deadline(); ok && deadline.Before(until) {
			again = false
		}
		if !again || retries >= t.cfg.MaxRetries || !repeatable(req) {
			return resp, nil
		}
		next, err := rewind(req)
		if err != nil {
			return resp, nil
		}
		drain(resp.Body)
		t.metrics.retried.add()
		req = next
	}
}

// heed does what an answer teaches: it throttles until the moment it returns (zero: not at all), and widens the slack
// if it has to. again reports whether the request was refused only for now, so that sending it again makes sense.
func (t *Transport) heed(b *bucket.Bucket, key string, resp *http.Response, sent time.Time) (until time.Time, again bool) {
	now := time.Now()
	l := learn(resp.StatusCode, resp.Header, now, t.cfg.MaxThrottle)
	if t.cfg.ThrottleFamily {
		key = "" // one back-off for all
	}
	switch {
	case l.wait > 0:
		until = now.Add(l.wait)
	case l.refused:
		until = t.backoffs.refused(key, sent, now)
	}
	if l.refused {
		t.metrics.refused.add()
		t.widen(l.wait, sent, now)
	} else {
		t.backoffs.served(key, sent)
	}
	if !until.IsZero() {
		t.metrics.throttled.add()
		if t.cfg.ThrottleFamily {
			t.family.Throttle(until)
		} else {
			b.Throttle(until)
		}
	}
	again = l.refused || resp.StatusCode == http.StatusServiceUnavailable && l.wait > 0
	return until, again && !l.tooLong
}

// widen doubles the slack after a 429. Whatever is sent had a permit and no throttle against it, so our window had room:
// the request arrived closer to others than it left. A wait that is longer than our windows speaks of a limit
// that we do not know, and widens nothing; nor does anything in a family in shadow, which lets pass what has no room.
func (t *Transport) widen(wait time.Duration, sent, now time.Time) {
	limits := t.family.Limits()
	if t.shadow || otherLimit(wait, limits) {
		return
	}
	end := t.cfg.MaxSlack
	if end == 0 {
		end = maxSlack(limits, t.cfg.Slack)
	}
	old := t.family.Slack()
	if old >= end || !t.widening.due(sent, now) {
		return
	}
	slack := min(max(2*old, minSlack), end)
	if err := t.family.SetSlack(slack); err != nil {
		t.family.System().Logger().Warn("slack could not be widened", "family", t.family.Name(), "slack", slack, "error", err)
		return
	}
	t.metrics.widened.add()
	t.family.System().Logger().Warn("server refused although our window had room: slack widened",
		"family", t.family.Name(), "from", old, "to", slack, "max", end)
}

// timeout is a deadline that ended a wait. As net/http wants it, it says so by Timeout, which [url.Error] does not look for
// deeper down.
type timeout struct{ error }

func (t timeout) Timeout() bool { return true }
func (t timeout) Unwrap() error { return t.error }

// asTimeout marks err as a timeout if a deadline is behind it.
func asTimeout(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return timeout{err}
	}
	return err
}

// CloseIdleConnections closes those of the base transport, if it can. [http.Client.CloseIdleConnections] calls it.
func (t *Transport) CloseIdleConnections() {
	if base, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		base.CloseIdleConnections()
	}
}

// TransportInfo is what a [Transport] has done so far.
type TransportInfo struct {
	Sent      int64         // requests given to the base transport, retries included
	Refused   int64         // answers with status 429
	Throttled int64         // answers that made a bucket, or the family, wait
	Retried   int64         // requests sent again
	Widened   int64         // how often the slack was widened
	Slack     time.Duration // of the family, now
}

// Info is what the transport has done so far. Its figures are read one after the other while requests go on.
func (t *Transport) Info() TransportInfo {
	return TransportInfo{
		Sent:      t.metrics.sent.n.Load(),
		Refused:   t.metrics.refused.n.Load(),
		Throttled: t.metrics.throttled.n.Load(),
		Retried:   t.metrics.retried.n.Load(),
		Widened:   t.metrics.widened.n.Load(),
		Slack:     t.family.Slack(),
	}
}
