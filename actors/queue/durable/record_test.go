package durable

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestRecordsReadAsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := time.Unix(0, rapid.Int64Range(1, 1<<62).Draw(t, "at"))
		text := rapid.StringN(0, 40, maxFlow)
		r := record{
			at: at, nice: rapid.IntRange(-20, 19).Draw(t, "nice"), cost: rapid.IntRange(1, maxCount).Draw(t, "cost"),
			flow: text.Draw(t, "flow"), value: rapid.SliceOf(rapid.Byte()).Draw(t, "value"),
		}
		body := r.encode()
		back, err := decodeRecord(body)
		require.NoError(t, err)
		require.Equal(t, string(r.value), string(back.value))
		r.value, back.value = nil, nil
		require.Equal(t, r, back)

		u := turn{tries: rapid.IntRange(0, maxCount).Draw(t, "tries"), reason: text.Draw(t, "reason")}
		if rapid.Bool().Draw(t, "delayed") {
			u.notBefore = at
		}
		turned, err := decodeTurn(u.encode())
		require.NoError(t, err)
		require.Equal(t, u, turned)

		b := burial{at: at, tries: u.tries, reason: u.reason, item: body}
		buried, err := decodeBurial(b.encode())
		require.NoError(t, err)
		require.Equal(t, b, buried)
	})
}

func TestADamagedBitIsNoticed(t *testing.T) {
	whole := (&record{at: time.Unix(1, 2), nice: -3, cost: 4, flow: "flow", value: []byte("value")}).encode()
	for bit := range len(whole) * 8 {
		torn := append([]byte(nil), whole...)
		torn[bit/8] ^= 1 << (bit % 8)
		_, err := decodeRecord(torn)
		assert.Error(t, err, "bit %d", bit)
	}
	for n := range whole {
		_, err := decodeRecord(whole[:n])
		assert.Error(t, err, "cut off after %d bytes", n)
	}
}

func FuzzRecords(f *testing.F) {
	f.Add((&record{at: time.Unix(1, 2), flow: "flow", value: []byte("value")}).encode())
	f.Add((&burial{at: time.Unix(1, 2), reason: "reason", item: []byte("item")}).encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, sealed := range []bool{false, true} {
			if sealed && len(b) >= prefixLen {
				b = seal(append([]byte(nil), b...))
			}
			if r, err := decodeRecord(b); err == nil {
				assert.LessOrEqual(t, len(r.flow)+len(r.value), len(b))
			}
			if u, err := decodeBurial(b); err == nil {
				assert.LessOrEqual(t, len(u.reason)+len(u.item), len(b))
			}
			_, _ = decodeTurn(b)
		}
	})
}
