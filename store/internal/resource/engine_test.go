package resource

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/batch"
	"github.com/penstock-go/penstock/cluster"
	"github.com/penstock-go/penstock/store"
)

type value struct {
	amount  int64
	version int64
	tokens  string
}

var of = store.Resource[string, *value]{
	Select: "S", Update: "U", Insert: "I",
	Scan:    func(v *value) []any { return []any{&v.amount} },
	Version: func(v *value) *int64 { return &v.version },
	Tokens:  func(v *value) *string { return &v.tokens },
}

var (
	errDown      = errors.New("down")
	errDuplicate = errors.New("duplicate")
)

// memory is a database whose transactions end as a list says; those after it are stored.
type memory struct {
	rows    map[string]value
	ends    []Outcome // of the next transactions
	applies bool      // an Unknown one was stored
	faulty  string    // a key whose writes fail
	sizes   []int     // of transactions
	hidden  bool      // it is not told which write failed
	reads   []error   // of the next reads
}

func (m *memory) Name() string                 { return "memory" }
func (m *memory) IsDuplicate(err error) bool   { return errors.Is(err, errDuplicate) }
func (m *memory) row(args []any) (value, bool) { v, ok := m.rows[args[0].(string)]; return v, ok }

func (m *memory) Load(_ context.Context, query string, reads []*Read) {
	for _, r := range reads {
		if len(m.reads) > 0 {
			r.Err, m.reads = m.reads[0], m.reads[1:]
			if r.Err != nil {
				continue
			}
		}
		if v, ok := m.row(r.Args); ok && query == "S" {
			r.Row(func(dest ...any) error {
				if dest[0] != nil {
					*dest[0].(*int64), *dest[1].(*int64) = v.amount, v.version
				}
				if dest[2] != nil {
					*dest[2].(*string) = v.tokens
				}
				return nil
			})
		}
	}
}

func (m *memory) Save(ctx context.Context, writes []*Write) (Outcome, error) {
	m.sizes = append(m.sizes, len(writes))
	end := Stored
	if len(m.ends) > 0 {
		end, m.ends = m.ends[0], m.ends[1:]
	}
	if end == Failed || end == Busy {
		return end, errDown
	}
	after := make(map[string]value)
	for _, w := range writes {
		key := w.Args[0].(string)
		if key == m.faulty {
			if !m.hidden {
				w.Err = errDuplicate
			}
			return Faulty, errDuplicate
		}
		v, there := m.row(w.Args)
		n := len(w.Args)
		if w.SQL == "U" && (!there || v.version != w.Args[n-2].(int64)) || w.SQL == "I" && there {
			continue
		}
		v = value{*w.Args[1].(*int64), v.version + 1, w.Args[n-1].(string)}
		w.Row(func(dest ...any) error { *dest[0].(*int64) = v.version; return nil })
		after[key] = v
	}
	if end == Stored || m.applies {
		for k, v := range after {
			m.rows[k] = v
		}
	}
	if end == Stored {
		return Stored, nil
	}
	return end, errDown
}

func newMemory(t *testing.T) (*memory, *Engine[string, *value]) {
	m := &memory{rows: make(map[string]value)}
	e, err := New(m, of)
	require.NoError(t, err)
	return m, e
}

func load(t *testing.T, e *Engine[string, *value], key string) *value {
	t.Helper()
	v, err := e.Load(t.Context(), key)
	require.NoError(t, err)
	return v
}

// TestG9_WhatBecameOfASaveIsFoundOut goes through transactions that end in every way, and others that write in between.
func TestG9_WhatBecameOfASaveIsFoundOut(t *testing.T) {
	for _, c := range []struct {
		name    string
		ends    []Outcome
		applies bool
		want    error
		amount  int64
	}{
		{"stored", []Outcome{Stored}, false, nil, 5},
		{"others were in the way", []Outcome{Busy, Busy, Stored}, false, nil, 5},
		{"nobody was there", []Outcome{Failed}, false, errDown, 1},
		{"unknown, and was not stored", []Outcome{Unknown}, false, nil, 5},
		{"unknown, and was stored", []Outcome{Unknown}, true, nil, 5},
		{"unknown twice", []Outcome{Unknown, Unknown}, false, nil, 5},
		{"unknown, then nobody was there", []Outcome{Unknown, Failed, Failed, Busy}, true, nil, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for _, first := range []bool{true, false} {
					m, e := newMemory(t)
					v := load(t, e, "a")
					if !first {
						v.amount = 1
						require.NoError(t, e.Save(t.Context(), "a", v))
					} else if c.amount == 1 {
						c.amount = 0
					}
					before := v.version
					v.amount = 5
					m.ends, m.applies = c.ends, c.applies
					err := e.Save(t.Context(), "a", v)
					if c.want != nil {
						require.ErrorIs(t, err, c.want)
						require.NotErrorIs(t, err, store.ErrUnknown)
						require.Equal(t, before, v.version)
						continue
					}
					require.NoError(t, err)
					require.Equal(t, *v, m.rows["a"])
					require.Equal(t, before+1, m.rows["a"].version, "it was stored twice")
					v.amount = 6
					require.NoError(t, e.Save(t.Context(), "a", v), "it knows its version")
				}
			})
		})
	}
}

func TestASaveInDoubtIsGivenUpInTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, e := newMemory(t)
		m.ends = []Outcome{Unknown}
		for range 100_000 {
			m.ends = append(m.ends, Failed)
		}
		start := time.Now()
		err := e.Save(t.Context(), "a", load(t, e, "a"))
		require.ErrorIs(t, err, store.ErrUnknown)
		require.ErrorIs(t, err, cluster.ErrUnknown, "so that other nodes know it")
		require.ErrorIs(t, err, errDown)
		require.InDelta(t, settle.Seconds(), time.Since(start).Seconds(), 0.2)

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		m.ends[0] = Unknown
		err = e.Save(ctx, "b", &value{})
		require.ErrorIs(t, err, store.ErrUnknown)
		require.ErrorIs(t, err, context.DeadlineExceeded)

		m.ends = nil
		for range 100_000 {
			m.ends = append(m.ends, Busy)
		}
		ctx, cancel = context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		err = e.Save(ctx, "b", &value{})
		require.ErrorIs(t, err, context.DeadlineExceeded, "who waits for others waits until then")
		require.NotErrorIs(t, err, store.ErrUnknown)
	})
}

func TestTokensThatCannotBeReadAreReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, e := newMemory(t)
		v := load(t, e, "a")
		m.ends, m.applies, m.reads = []Outcome{Unknown}, true, []error{errDown, errDown}
		require.NoError(t, e.Save(t.Context(), "a", v))
		require.Equal(t, *v, m.rows["a"])

		v = load(t, e, "a")
		m.ends, m.applies = []Outcome{Unknown}, true
		m.reads = nil
		deleted := &forgetful{m}
		e, err := New(deleted, of)
		require.NoError(t, err)
		require.ErrorIs(t, e.Save(t.Context(), "a", v), store.ErrUnknown, "the row is gone, and its tokens with it")
	})
}

// forgetful deletes a row whose save is in doubt.
type forgetful struct{ *memory }

func (f *forgetful) Save(ctx context.Context, writes []*Write) (Outcome, error) {
	outcome, err := f.memory.Save(ctx, writes)
	if outcome == Unknown {
		clear(f.rows)
	}
	return outcome, err
}

func TestAFaultyWriteIsSetApart(t *testing.T) {
	const n = 100
	for _, hidden := range []bool{false, true} {
		for _, faulty := range []int{0, 1, 50, n - 1} {
			m, e := newMemory(t)
			m.faulty, m.hidden = fmt.Sprintf("%03d", faulty), hidden
			var keys []string
			var values []*value
			for i := range n {
				keys, values = append(keys, fmt.Sprintf("%03d", i)), append(values, &value{amount: int64(i)})
			}
			for i, err := range e.SaveMany(t.Context(), keys, values) {
				if i == faulty {
					require.ErrorIs(t, err, errDuplicate)
					require.NotErrorIs(t, err, batch.ErrConflict, "there is no row")
					continue
				}
				require.NoError(t, err)
				require.Equal(t, *values[i], m.rows[keys[i]])
			}
			require.Len(t, m.rows, n-1)
			require.Less(t, len(m.sizes), 30)
		}
	}
}

func TestADuplicateIsAConflictIfTheRowIsThere(t *testing.T) {
	m, e := newMemory(t)
	v := load(t, e, "a")
	m.rows["a"], m.faulty = value{amount: 1, version: 1}, "a"
	require.ErrorIs(t, e.Save(t.Context(), "a", v), batch.ErrConflict)
	v = load(t, e, "a")
	err := e.Save(t.Context(), "a", v)
	require.ErrorIs(t, err, errDuplicate, "an Update's is another one")
	require.NotErrorIs(t, err, batch.ErrConflict)
}

func TestWhatStatementsMustDo(t *testing.T) {
	scan := func(version int64) func(...any) error {
		return func(dest ...any) error { *dest[0].(*int64) = version; return nil }
	}
	w := Write{what: "Update", after: 3}
	w.Row(scan(3))
	require.ErrorContains(t, w.Err, "Update returned version 3 after version 3; it must make it greater")
	w = Write{what: "Insert"}
	w.Row(scan(0))
	require.ErrorContains(t, w.Err, "Insert returned version 0 after version 0")
	w = Write{what: "Update", after: 3}
	w.Row(scan(4))
	require.NoError(t, w.Err)
	w.Row(scan(4))
	require.ErrorContains(t, w.Err, "Update gave more than one row; it takes one or none")
	r := Read{}
	r.Row(func(...any) error { return nil })
	r.Row(func(...any) error { return nil })
	require.ErrorContains(t, r.Err, "Select gave more than one row")

	m, e := newMemory(t)
	m.rows["a"] = value{}
	_, err := e.Load(t.Context(), "a")
	require.ErrorContains(t, err, `memory: load of key "a": the row's version is 0; it takes 1 or more`)
}

func TestTokensGoBackEight(t *testing.T) {
	before, all := tokens("")
	require.Equal(t, before, all)
	require.Equal(t, stored, judge(before, "", all))
	require.Equal(t, notStored, judge("other", "", all))
	loaded := all
	own, now := tokens(all)
	require.Equal(t, notStored, judge("other", loaded, now))
	for n := 1; n < 12; n++ {
		_, now = tokens(now)
		want, wantOther := stored, notStored
		if n >= maxTokens {
			want = unclear
		}
		if n+2 > maxTokens { // what was there before is not any more
			wantOther = unclear
		}
		require.Equal(t, want, judge(own, loaded, now), n)
		require.Equal(t, wantOther, judge("other", loaded, now), n)
		require.LessOrEqual(t, len(now), 111)
	}
}

func TestABadDescriptionIsOneErrorThatNamesEveryField(t *testing.T) {
	_, err := New(&memory{}, store.Resource[string, value]{Key: func(string) []any { return nil }})
	require.ErrorIs(t, err, penstock.ErrInvalid)
	for _, text := range []string{
		"Select is empty", "Update is empty", "New is nil, and a resource.value is no pointer", "Version is nil", "Scan is nil", "Key gives no values",
	} {
		require.ErrorContains(t, err, text)
	}
	hurt := func(*value) []any { panic("it hurts") }
	bad := of
	bad.Key = func(string) []any { panic("no key") }
	bad.Scan, bad.Values = hurt, hurt
	bad.Version = func(*value) *int64 { return nil }
	bad.Tokens = func(*value) *string { panic("no tokens") }
	bad.Epoch = func(*value) *int64 { return nil }
	_, err = New(&memory{}, bad)
	for _, text := range []string{"Key with the zero key", "no key", "Scan with the zero key", "Values with the zero key", "Version returns nil", "no tokens", "Epoch returns nil"} {
		require.ErrorContains(t, err, text)
	}
	bad = of
	bad.New = func(string) *value { panic("no value") }
	_, err = New(&memory{}, bad)
	require.ErrorContains(t, err, "New with the zero key")
	_, err = New(&memory{}, of)
	require.NoError(t, err)
}
