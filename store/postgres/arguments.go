package postgres

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/penstock-go/penstock/store"
)

// arguments makes an array of each column of rows, the counts last, and says what types the keys' arrays have: those of the
// values, which PostgreSQL then casts to the column's.
func (s *Sink[K]) arguments(rows []store.Row) (args []any, types []string) {
	for i, c := range s.columns {
		arg, typ := array(rows, i, c)
		args, types = append(args, arg), append(types, typ)
	}
	counts := make([]int64, len(rows))
	for i, r := range rows {
		counts[i] = r.N
	}
	return append(args, counts), types
}

// timeTypes are those that hold a time, the second one in UTC and the last one as the time's own location has it.
var timeTypes = []string{"timestamp with time zone", "timestamp without time zone", "date"}

func array(rows []store.Row, i int, c column) (any, string) {
	switch rows[0].Key[i].(type) {
	case string:
		if list, ok := values[string](rows, i); ok {
			return list, "text"
		}
	case int64:
		if list, ok := values[int64](rows, i); ok {
			return list, "int8"
		}
	case bool:
		if list, ok := values[bool](rows, i); ok {
			return list, "bool"
		}
	case float64:
		if list, ok := values[float64](rows, i); ok {
			return list, "float8"
		}
	case []byte:
		if list, ok := values[[]byte](rows, i); ok && c.uuid {
			return list, "uuid" // there is no cast from bytea
		} else if ok {
			return list, "bytea"
		}
	case time.Time:
		if list, ok := values[time.Time](rows, i); ok && slices.Contains(timeTypes, c.base) {
			if c.base == timeTypes[1] {
				for j, t := range list {
					list[j] = t.UTC()
				}
			}
			return list, c.base // a cast would go by the session's time zone
		}
	}
	list := make([]string, len(rows)) // Split gives now this, now that
	for j, r := range rows {
		list[j] = text(r.Key[i])
	}
	return list, "text"
}

func values[T any](rows []store.Row, i int) ([]T, bool) {
	list := make([]T, len(rows))
	for j, r := range rows {
		v, ok := r.Key[i].(T)
		if !ok {
			return nil, false
		}
		list[j] = v
	}
	return list, true
}

// text is a value as PostgreSQL reads it.
func text(v any) string {
	switch x := v.(type) {
	case []byte:
		return fmt.Sprintf(`\x%x`, x)
	case time.Time:
		return x.Format(time.RFC3339Nano)
	}
	return fmt.Sprint(v)
}

// maxBad is how many keys an error names.
const maxBad = 5

// checkText names strings that PostgreSQL's text cannot hold; its own error does not.
func (s *Sink[K]) checkText(rows []store.Row) error {
	var errs []error
	for _, r := range rows {
		for i, v := range r.Key {
			x, ok := v.(string)
			if !ok || utf8.ValidString(x) && !strings.Contains(x, "\x00") {
				continue
			}
			if len(errs) == maxBad {
				return errors.Join(append(errs, errors.New("and more"))...)
			}
			errs = append(errs, fmt.Errorf("key %.200q: column %q: PostgreSQL's text takes UTF-8 without NUL", x, s.layout.Keys[i]))
		}
	}
	return errors.Join(errs...)
}
