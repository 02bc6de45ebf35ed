package store

import (
	"bytes"
	"cmp"
	"database/sql/driver"
	"encoding"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"time"

	"github.com/penstock-go/penstock/actors/stat"
)

// Row is what a flush brings for one row of the table. Its key's values are bool, int64, float64, string, []byte or
// [time.Time].
type Row struct {
	Key []any
	N   int64
}

// maxBad is how many keys an error names.
const maxBad = 5

// Rows makes rows of a flush's deltas. They are in the order of their keys, the same in every process: those who write the
// same rows take their locks in the same order, so none waits for one who waits for it. Keys whose values are the same become
// one row. The error names the keys that have no values for the table.
func (l *Layout[K]) Rows(deltas []stat.Delta[K]) ([]Row, error) {
	var errs []error
	rows := make([]Row, 0, len(deltas))
	for _, d := range deltas {
		values, err := l.values(d.Key)
		if err != nil {
			if len(errs) == maxBad {
				errs = append(errs, errors.New("and more"))
				break
			}
			errs = append(errs, fmt.Errorf("key %.200q: %w", fmt.Sprint(d.Key), err))
		}
		rows = append(rows, Row{Key: values, N: d.N})
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	slices.SortStableFunc(rows, func(a, b Row) int { return slices.CompareFunc(a.Key, b.Key, compare) })
	merged := rows[:0]
	for _, r := range rows {
		if n := len(merged); n > 0 && slices.CompareFunc(merged[n-1].Key, r.Key, compare) == 0 {
			merged[n-1].N = l.Merge.Of(merged[n-1].N, r.N)
			continue
		}
		merged = append(merged, r)
	}
	return merged, nil
}

// values splits a key.
func (l *Layout[K]) values(key K) ([]any, error) {
	values := l.split(key)
	if len(values) != len(l.Keys) {
		return nil, fmt.Errorf("its Split has %d values for %d key columns", len(values), len(l.Keys))
	}
	values = slices.Clone(values) // Split's may be shared
	for i, v := range values {
		var err error
		if values[i], err = value(v); err != nil {
			return nil, fmt.Errorf("column %q: %w", l.Keys[i], err)
		}
	}
	return values, nil
}

var (
	errNull = errors.New("its value is NULL, which no unique index holds; it takes a value")
	errNaN  = errors.New("its value is not a number; it takes one")
)

// value makes one of the types of [Row] of a value.
func value(v any) (any, error) {
	switch x := v.(type) {
	case string, bool, int64:
		return v, nil
	case nil:
		return nil, errNull
	case time.Time:
		return x.Round(0), nil // without the monotonic clock
	case driver.Valuer:
		if v := reflect.ValueOf(v); v.Kind() == reflect.Pointer && v.IsNil() {
			return nil, errNull
		}
		of, err := x.Value()
		if err != nil {
			return nil, err
		}
		if _, again := of.(driver.Valuer); again {
			return nil, fmt.Errorf("its value is a %T, whose Value is a %T; it takes a driver.Value", v, of)
		}
		return value(of)
	case encoding.TextMarshaler:
		if v := reflect.ValueOf(v); v.Kind() == reflect.Pointer && v.IsNil() {
			return nil, errNull
		}
		text, err := x.MarshalText()
		return string(text), err
	}
	switch x := reflect.ValueOf(v); x.Kind() {
	case reflect.String:
		return x.String(), nil
	case reflect.Bool:
		return x.Bool(), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return x.Int(), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if n := x.Uint(); n <= math.MaxInt64 {
			return int64(n), nil
		}
		return nil, fmt.Errorf("its value is %v; it takes integers up to %d", v, math.MaxInt64)
	case reflect.Float32, reflect.Float64:
		if math.IsNaN(x.Float()) {
			return nil, errNaN
		}
		return x.Float(), nil
	case reflect.Slice:
		if x.Type().Elem().Kind() == reflect.Uint8 {
			if x.IsNil() {
				return nil, errNull
			}
			return x.Bytes(), nil
		}
	case reflect.Array:
		if x.Type().Elem().Kind() == reflect.Uint8 {
			b := make([]byte, x.Len())
			reflect.Copy(reflect.ValueOf(b), x)
			return b, nil
		}
	}
	return nil, fmt.Errorf("its value is a %T; it takes a string, an integer, a boolean, a float, bytes, a time.Time, a driver.Valuer or an encoding.TextMarshaler", v)
}

// compare orders values. Those of different types are in the order of the types' names, so that any two have an order.
func compare(a, b any) int {
	switch x := a.(type) {
	case string:
		if y, ok := b.(string); ok {
			return cmp.Compare(x, y)
		}
	case int64:
		if y, ok := b.(int64); ok {
			return cmp.Compare(x, y)
		}
	case []byte:
		if y, ok := b.([]byte); ok {
			return bytes.Compare(x, y)
		}
	case time.Time:
		if y, ok := b.(time.Time); ok {
			return x.Compare(y)
		}
	case float64:
		if y, ok := b.(float64); ok {
			return cmp.Compare(x, y)
		}
	case bool:
		if y, ok := b.(bool); ok && x != y {
			if y {
				return -1
			}
			return 1
		} else if ok {
			return 0
		}
	}
	return cmp.Compare(fmt.Sprintf("%T", a), fmt.Sprintf("%T", b))
}
