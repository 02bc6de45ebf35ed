package storetest

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/penstock-go/penstock/actors/batch"
)

// resourceModel loads, saves and deletes at random, keeps what it has loaded for as long as it likes, and compares with maps.
func resourceModel(t testing.TB, open resourceOpener) {
	l := newLedger(t, open)
	type held struct {
		key   string
		value *Account
	}
	run := 0
	rapid.Check(t, func(r *rapid.T) {
		run++ // each has keys of its own, so that the table need not be new
		version, amount := map[string]int64{}, map[string]int64{}
		var all []held
		key := rapid.Custom(func(r *rapid.T) string {
			return fmt.Sprint(run, rapid.SampledFrom([]string{"a", "b", "c"}).Draw(r, "key"))
		})
		for range rapid.IntRange(1, 12).Draw(r, "steps") {
			resource := l.of(rapid.IntRange(0, 1).Draw(r, "resource"))
			switch step := rapid.IntRange(0, 5).Draw(r, "step"); {
			case step <= 1 || len(all) == 0:
				h := held{key: key.Draw(r, "load")}
				var err error
				h.value, err = resource.Load(t.Context(), h.key)
				require.NoError(r, err)
				require.Equal(r, amount[h.key], h.value.Amount)
				require.Equal(r, version[h.key], h.value.Version)
				all = append(all, h)
			case step == 2:
				k := key.Draw(r, "delete")
				require.NoError(r, l.Delete(t.Context(), k))
				delete(amount, k)
				delete(version, k)
			default: // keys may come twice: the second has a conflict
				var keys []string
				var values []*Account
				var before []int64
				for _, h := range rapid.SliceOfNDistinct(rapid.SampledFrom(all), 1, 3, rapid.ID).Draw(r, "save") {
					h.value.Amount = rapid.Int64Range(-100, 100).Draw(r, "amount")
					keys, values, before = append(keys, h.key), append(values, h.value), append(before, h.value.Version)
				}
				for i, err := range resource.SaveMany(t.Context(), keys, values) {
					k, v := keys[i], values[i]
					if before[i] != version[k] {
						require.ErrorIs(r, err, batch.ErrConflict)
						continue
					}
					require.NoError(r, err)
					require.Greater(r, v.Version, before[i])
					version[k], amount[k] = v.Version, v.Amount
				}
			}
		}
		got, err := l.Rows(t.Context())
		require.NoError(r, err)
		for _, k := range []string{"a", "b", "c"} {
			k = fmt.Sprint(run, k)
			want, there := amount[k]
			stored, is := got[k]
			require.Equal(r, there, is, "key %q", k)
			require.Equal(r, want, stored, "key %q", k)
		}
	})
}
