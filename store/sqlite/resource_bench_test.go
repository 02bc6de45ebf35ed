package sqlite

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkLoadSave is a load and a save of a row.
func BenchmarkLoadSave(b *testing.B) {
	db := openNew(b)
	run(b, db, createAccounts)
	r := newResource(b, db, accounts)
	for b.Loop() {
		a, err := r.Load(b.Context(), "a")
		require.NoError(b, err)
		a.Amount++
		require.NoError(b, r.Save(b.Context(), "a", a))
	}
}

// BenchmarkSaveMany saves as many rows in one go; they need not be loaded again.
func BenchmarkSaveMany(b *testing.B) {
	for _, size := range []int{1, 100, 1000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			db := openNew(b)
			run(b, db, createAccounts)
			r := newResource(b, db, accounts)
			var keys []string
			for i := range size {
				keys = append(keys, fmt.Sprint("key ", i))
			}
			values, errs := r.LoadMany(b.Context(), keys)
			require.NoError(b, errors.Join(errs...))
			for b.Loop() {
				for _, a := range values {
					a.Amount++
				}
				require.NoError(b, errors.Join(r.SaveMany(b.Context(), keys, values)...))
			}
		})
	}
}

// BenchmarkLoadMany loads a hundred rows.
func BenchmarkLoadMany(b *testing.B) {
	db := openNew(b)
	run(b, db, createAccounts)
	r := newResource(b, db, accounts)
	var keys []string
	for i := range 100 {
		keys = append(keys, fmt.Sprint("key ", i))
	}
	for b.Loop() {
		_, errs := r.LoadMany(b.Context(), keys)
		require.NoError(b, errors.Join(errs...))
	}
}
