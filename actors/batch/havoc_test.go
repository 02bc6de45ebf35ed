package batch

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/internal/roomtest"
	"github.com/penstock-go/penstock/supervisor"
)

// errUnsure is an error after which nobody knows whether a resource was saved.
var errUnsure = errors.New("the connection was cut")

// havoc is a processor whose database, operations and actors fail in every way, and all that its callers were told.
type havoc struct {
	table
	seed uint64
	real bool // in real time: nothing sleeps
	keys int

	mu      sync.Mutex
	rng     *rand.Rand
	answers map[int]answer
	foreign int
}

// answer is what the caller of an operation was told.
type answer struct {
	key string
	err error
	at  int // where it said that its number is in the resource
}

func newHavoc(seed uint64) *havoc {
	return &havoc{seed: seed, keys: 3, rng: rand.New(rand.NewPCG(seed, 0)), answers: make(map[int]answer)}
}

// dice is a random number below n.
func (h *havoc) dice(n int) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.rng.IntN(n)
}

func (h *havoc) key() string { return fmt.Sprint(h.dice(h.keys)) }

func (h *havoc) sleep(d time.Duration) {
	if h.real {
		runtime.Gosched()
		return
	}
	time.Sleep(d)
}

// fail is what befalls a load or a save before anything else.
func (h *havoc) fail(err error) error {
	switch h.dice(40) {
	case 0, 1:
		return err
	case 2:
		panic(errUnsure)
	case 3:
		runtime.Goexit()
	case 4:
		if !h.real && h.dice(4) == 0 {
			time.Sleep(500 * time.Millisecond) // and ignores its context
		}
	case 5, 6, 7, 8:
		h.sleep(time.Duration(h.dice(20)) * time.Millisecond)
	}
	return nil
}

func (h *havoc) config() Config[string, *ledger] {
	cfg := Config[string, *ledger]{
		MinDuration: 5 * time.Millisecond, MaxDuration: 50 * time.Millisecond, Grace: 100 * time.Millisecond,
		MaxOperations: []int{0, 3}[h.dice(2)], KeepLoaded: []time.Duration{0, 20 * time.Millisecond}[h.dice(2)],
		Idle: []time.Duration{0, 2 * time.Millisecond}[h.dice(2)], MaxConflicts: 1 + h.dice(5), MaxMany: 2,
		Shards: 1 + h.dice(3), MaxWaiting: []int{0, 4}[h.dice(2)],
	}
	if h.real {
		cfg.Grace, cfg.MaxDuration, cfg.MinDuration = time.Hour, time.Hour, time.Millisecond
	}
	if h.dice(2) == 0 {
		cfg.MinDuration = NoWait
	}
	if h.dice(3) == 0 {
		cfg.MaxBytes, cfg.Size = 5, func(l *ledger) int64 { return int64(len(l.done) % 7) }
	}
	if h.dice(2) == 0 {
		cfg.ShardForKey = func(key string, _ int) int { return int(key[0]) }
	}
	if h.dice(2) == 0 {
		cfg.Load, cfg.Save = h.load, h.save
	} else {
		cfg.LoadMany, cfg.SaveMany = h.loadMany, h.saveMany
	}
	h.beforeLoad = func(context.Context, string) error { return h.fail(errLoad) }
	h.beforeSave = func(_ context.Context, key string) error {
		if h.dice(8) == 0 {
			h.mu.Lock()
			h.foreign--
			n := h.foreign
			h.mu.Unlock()
			h.write(key, n)
		}
		return h.fail(errSave)
	}
	h.afterSave = func(string) error {
		if h.dice(30) == 0 {
			return errUnsure
		}
		return nil
	}
	return cfg
}

// call makes one call and notes its answer.
func (h *havoc) call(p *Processor[string, *ledger], n int) {
	key := h.key()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if h.dice(5) == 0 {
		if h.real {
			go cancel()
		} else {
			time.AfterFunc(time.Duration(h.dice(20))*time.Millisecond, cancel)
		}
	}
	kind := h.dice(24)
	at, err := Do(ctx, p, key, func(l *ledger) (int, error) {
		l.done = append(l.done, n)
		switch kind {
		case 0:
			return 0, errOwn
		case 1:
			panic(errOwn)
		case 2:
			runtime.Goexit()
		case 3:
			return 0, Abort(errOwn)
		case 4:
			if len(l.done)%2 == 0 { // when it runs again it may
				return 0, Abort(errOwn)
			}
		}
		return len(l.done) - 1, nil
	})
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, twice := h.answers[n]; twice {
		panic("an operation has two answers")
	}
	h.answers[n] = answer{key, err, at}
}

// judge compares what the callers were told with what is stored.
func (h *havoc) judge(t *testing.T, calls, callers int) {
	t.Helper()
	require.Len(t, h.answers, calls, "seed %d: everybody is answered once", h.seed)
	count := make(map[int]int)
	for i := range h.keys {
		last := make(map[int]int)
		for _, n := range h.stored(fmt.Sprint(i)) {
			count[n]++
			if n >= 0 {
				require.GreaterOrEqual(t, n, last[n%callers], "seed %d: a caller's operations are in order", h.seed)
				last[n%callers] = n
			}
		}
	}
	for n, a := range h.answers {
		switch h.outcome(a.err) {
		case "saved":
			require.Equal(t, 1, count[n], "seed %d: %d was answered with nil", h.seed, n)
			require.Equal(t, n, h.stored(a.key)[a.at], "seed %d: the result is that of the run that was saved", h.seed)
		case "not saved":
			require.Zero(t, count[n], "seed %d: %d was answered with %v", h.seed, n, a.err)
		case "unsure":
			require.LessOrEqual(t, count[n], 1, "seed %d: %d was answered with %v", h.seed, n, a.err)
		default:
			require.NoError(t, a.err, "seed %d: nobody knows this error", h.seed)
		}
	}
}

func (h *havoc) outcome(err error) string {
	var stuck *StuckError
	var aborted *AbortError
	var gaveUp *supervisor.GaveUpError
	switch {
	case err == nil:
		return "saved"
	case errors.As(err, &stuck), errors.Is(err, errUnsure), errors.Is(err, penstock.ErrClosed), errors.Is(err, errGoexit):
		return "unsure"
	case errors.As(err, &aborted), errors.Is(err, ErrCancelled), errors.Is(err, penstock.ErrFull), errors.Is(err, errLoad), errors.Is(err, errSave),
		errors.Is(err, ErrConflict), errors.As(err, &gaveUp):
		return "not saved"
	case errors.Is(err, errOwn): // its own error comes first
		return "unsure"
	}
	return "unknown"
}

// storm runs callers, who call one thing after the other, and ends with a Close.
func (h *havoc) storm(t *testing.T, callers, calls int) {
	sys := roomtest.System(t)
	p, err := NewProcessor(sys, "test", h.config())
	require.NoError(t, err)
	reports := p.Subscribe(2)
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for i := range calls {
				h.call(p, i*callers+c)
				if h.dice(10) == 0 {
					h.sleep(time.Duration(h.dice(30)) * time.Millisecond)
				}
				switch h.dice(60) {
				case 0:
					crash(p, h.key())
				case 1:
					p.Info()
				}
			}
		})
	}
	switch early := h.dice(3) == 0; {
	case early && h.real:
		h.sleep(0)
	case early:
		time.Sleep(time.Duration(h.dice(200)) * time.Millisecond)
	default:
		wg.Wait()
	}
	ctx := context.Background()
	if h.dice(3) == 0 && !h.real {
		ctx = roomtest.Within(t, time.Duration(h.dice(50))*time.Millisecond)
	}
	if err := p.Close(ctx); err != nil {
		require.ErrorIs(t, err, context.DeadlineExceeded, "seed %d", h.seed)
	}
	wg.Wait()
	for range reports.Events() { //nolint:all // it ends
		continue
	}
	h.sleep(time.Second) // the deaf return
	h.judge(t, callers*calls, callers)
	require.Zero(t, p.Info().Pending, "seed %d", h.seed)
}

func TestG9_Havoc(t *testing.T) {
	schedules := 500
	if testing.Short() {
		schedules = 60
	}
	ends := make(map[string]int)
	for seed := range uint64(schedules) {
		synctest.Test(t, func(t *testing.T) {
			h := newHavoc(seed)
			h.storm(t, 8, 12)
			for _, a := range h.answers {
				ends[h.outcome(a.err)]++
				for _, err := range []error{ErrCancelled, ErrConflict, errLoad, errSave, errUnsure, errOwn, errGoexit, penstock.ErrFull, penstock.ErrClosed} {
					if errors.Is(a.err, err) {
						ends[err.Error()]++
					}
				}
				var stuck *StuckError
				if errors.As(a.err, &stuck) {
					ends["stuck in "+stuck.What]++
				}
			}
		})
	}
	t.Log(ends)
	for _, end := range []error{ErrCancelled, ErrConflict, errLoad, errSave, errUnsure, errOwn, errGoexit, penstock.ErrFull, penstock.ErrClosed} {
		require.NotZero(t, ends[end.Error()], "nobody ended by: %v", end)
	}
	for _, end := range []string{"saved", "stuck in load", "stuck in save"} {
		require.NotZero(t, ends[end], "nobody ended: %s", end)
	}
}

// TestG12_EverythingAtOnce is in real time, with goroutines that really meet.
func TestG12_EverythingAtOnce(t *testing.T) {
	for seed := range roomtest.Seeds() {
		h := newHavoc(seed)
		h.real = true
		h.storm(t, 16, 60)
	}
}

// TestG12_AnExactLedger has many callers, keys that come and go, actors that crash, and a sum that must be right.
func TestG12_AnExactLedger(t *testing.T) {
	d := new(table)
	cfg := d.config()
	cfg.MinDuration, cfg.MaxDuration, cfg.Idle, cfg.MaxOperations = NoWait, time.Hour, time.Millisecond, 20
	p := newProcessor(t, cfg)
	const callers, calls = 16, 200
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for i := range calls {
				must(t, p, fmt.Sprint(i%5), note(c*calls+i))
				if i%50 == 7 {
					crash(p, fmt.Sprint(i%5))
				}
			}
		})
	}
	wg.Wait()
	var all []int
	for i := range 5 {
		all = append(all, d.stored(fmt.Sprint(i))...)
	}
	slices.Sort(all)
	require.Len(t, all, callers*calls)
	require.Len(t, slices.Compact(all), callers*calls)
	require.NoError(t, p.Close(context.Background()))
}
