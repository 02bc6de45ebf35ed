package batch

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/cluster"
)

func TestRegister(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d table
		p := newProcessor(t, d.config())
		op, err := Register(p, "note", noteAt)
		require.NoError(t, err)
		at, err := op.Do(t.Context(), "ada", 5)
		require.NoError(t, err)
		require.Zero(t, at)
		require.Equal(t, []int{5}, d.stored("ada"))
		_, err = op.Do(t.Context(), "ada", -5)
		require.Equal(t, errOwn, err, "on one node errors are what they are")

		_, err = Register(p, "note", noteAt)
		require.ErrorIs(t, err, penstock.ErrExists)
		for text, try := range map[string]func() error{
			"its name has 0 bytes; it takes 1 to 512": func() error { _, err := Register(p, "", noteAt); return err },
			"its name has 513 bytes":                  func() error { _, err := Register(p, strings.Repeat("x", 513), noteAt); return err },
			"its name has 1 bytes; it takes 1 to 512": func() error { _, err := Register(p, "\xff", noteAt); return err },
			"its function is nil":                     func() error { _, err := Register[string, *ledger, int, int](p, "x", nil); return err },
			"the batch processor is nil": func() error {
				_, err := Register((*Processor[string, *ledger])(nil), "x", noteAt)
				return err
			},
			"Args has only one function": func() error {
				_, err := RegisterWith(p, "x", Codecs[int, int]{Args: Codec[int]{Encode: JSON[int]().Encode}}, noteAt)
				return err
			},
			"Result has only one function": func() error {
				_, err := RegisterWith(p, "x", Codecs[int, int]{Result: Codec[int]{Decode: JSON[int]().Decode}}, noteAt)
				return err
			},
		} {
			err := try()
			require.ErrorIs(t, err, penstock.ErrInvalid)
			require.ErrorContains(t, err, text)
		}
		require.NoError(t, p.Close(t.Context()))
		_, err = Register(p, "late", noteAt)
		require.ErrorIs(t, err, penstock.ErrClosed)
		_, err = op.Do(t.Context(), "ada", 5)
		require.ErrorIs(t, err, penstock.ErrClosed)
	})
}

func TestClusteredConfigs(t *testing.T) {
	type pair struct{ A, B int }
	require.ErrorContains(t, bad(t, "x", Config[pair, int]{Clustered: true}), "KeyCodec is empty, and a batch.pair has no text of its own")
	require.ErrorContains(t, bad(t, "x", Config[float64, int]{Clustered: true}), "KeyCodec is empty")
	require.ErrorContains(t, bad(t, "x", Config[any, int]{Clustered: true}), "KeyCodec is empty")
	require.ErrorContains(t, bad(t, "x", Config[int, int]{Away: 2}), "Away is 2")
	half := KeyCodec[pair]{Encode: func(pair) (string, error) { return "x", nil }}
	require.ErrorContains(t, bad(t, "x", Config[pair, int]{KeyCodec: half}), "KeyCodec has only one function")
	require.ErrorContains(t, bad(t, "x", Config[string, int]{Clustered: true}), "call cluster.Join first")
}

type userID string
type small int8

func TestKeysAsText(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		goesThrough(r, rapid.String().Draw(r, "string"))
		goesThrough(r, userID(rapid.String().Draw(r, "user")))
		goesThrough(r, rapid.Int().Draw(r, "int"))
		goesThrough(r, small(rapid.Int8().Draw(r, "small")))
		goesThrough(r, rapid.Uint64().Draw(r, "uint64"))
	})
	require.Equal(t, "-9223372036854775808", plainText(t, int64(math.MinInt64)))
	require.Equal(t, "18446744073709551615", plainText(t, uint64(math.MaxUint64)))
	for _, text := range []string{"", "128", "x", "1.5", " 1"} {
		_, err := decodePlain[small](text)
		require.ErrorContains(t, err, "a number that fits batch.small")
	}
	_, err := decodePlain[uint8]("-1")
	require.Error(t, err)
}

func plainText[K comparable](t require.TestingT, key K) string {
	text, err := KeyCodec[K]{}.orPlain().Encode(key)
	require.NoError(t, err)
	return text
}

func goesThrough[K comparable](t require.TestingT, key K) {
	again, err := KeyCodec[K]{}.orPlain().Decode(plainText(t, key))
	require.NoError(t, err)
	require.Equal(t, key, again)
}

// TestCodecsThatFail is about user code, whose errors and panics are errors of the call.
func TestCodecsThatFail(t *testing.T) {
	fails := errors.New("it cannot be written")
	onGrid(t, nil, func(t *testing.T, g *grid, nodes ...*gridNode) {
		panics := Codec[int]{
			Encode: func(n int) ([]byte, error) {
				switch n {
				case 1:
					panic("it hurts")
				case 2:
					return nil, fails
				}
				return json.Marshal(n)
			},
			Decode: func(wire []byte) (int, error) {
				if string(wire) == "3" {
					panic("it hurts")
				}
				return JSON[int]().Decode(wire)
			},
		}
		var ops []*Operation[string, *ledger, int, int]
		for _, n := range nodes {
			op, err := RegisterWith(n.p, "codecs", Codecs[int, int]{Args: panics, Result: panics}, func(l *ledger, n int) (int, error) {
				l.done = append(l.done, n)
				return n - 10, nil
			})
			require.NoError(t, err)
			ops = append(ops, op)
		}
		for _, op := range ops {
			for args := 1; args <= 2; args++ {
				_, err := op.Do(t.Context(), "ada", args)
				require.ErrorIs(t, err, penstock.ErrInvalid)
				require.Equal(t, args == 2, errors.Is(err, fails))
			}
		}
		_, err := ops[1].Do(t.Context(), "ada", 3)
		require.ErrorIs(t, err, penstock.ErrInvalid, "the owner cannot read it")
		require.Empty(t, g.rows.stored("ada"))
		for args := 11; args <= 13; args++ {
			_, err := ops[1].Do(t.Context(), "ada", args)
			require.ErrorIs(t, err, ErrUnsent, "it is stored")
		}
		require.Equal(t, []int{11, 12, 13}, g.rows.stored("ada"))
	}, "a", "b")
}

// TestKeysOfCodecs has keys that a codec writes.
func TestKeysOfCodecs(t *testing.T) {
	type pair struct{ A, B int }
	codec := KeyCodec[pair]{
		Encode: func(key pair) (string, error) {
			if key.A < 0 {
				return "", errOwn
			}
			wire, err := json.Marshal(key)
			return string(wire), err
		},
		Decode: func(text string) (key pair, err error) {
			err = json.Unmarshal([]byte(text), &key)
			return key, err
		},
	}
	synctest.Test(t, func(t *testing.T) {
		g := newGrid(t)
		var epochs []int64
		var ops []*Operation[pair, *ledger, int, int]
		for _, name := range []string{"a", "b"} {
			n := g.start(name, nil)
			p, err := newProcessorAt(n.sys, "pairs", Config[pair, *ledger]{
				Clustered: true, KeyCodec: codec,
				Load: func(ctx context.Context, _ pair) (*ledger, error) {
					epoch, _ := cluster.Epoch(ctx)
					epochs = append(epochs, epoch)
					return &ledger{}, nil
				},
			}, n.open)
			require.NoError(t, err)
			op, err := Register(p, "note", noteAt)
			require.NoError(t, err)
			ops = append(ops, op)
		}
		g.give("a")
		_, err := ops[1].Do(t.Context(), pair{1, 2}, 5)
		require.NoError(t, err)
		require.Len(t, epochs, 1)
		require.Positive(t, epochs[0])
		_, err = ops[1].Do(t.Context(), pair{-1, 2}, 5)
		require.ErrorIs(t, err, penstock.ErrInvalid)
		require.ErrorIs(t, err, errOwn)
	})
}
