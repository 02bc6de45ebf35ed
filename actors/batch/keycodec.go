package batch

import (
	"fmt"
	"reflect"
	"strconv"
)

// KeyCodec writes keys as text, 1 to 512 bytes of UTF-8, and reads them. Both functions must do the same on all nodes, in all versions
// of the program that run side by side: where a key's batches run is found by its text. They may be called from several goroutines.
type KeyCodec[K comparable] struct {
	Encode func(key K) (string, error)
	Decode func(text string) (K, error)
}

// plainKeys reports whether keys of a type have a text of their own: they are strings or integers.
func plainKeys[K comparable]() bool {
	switch reflect.TypeFor[K]().Kind() {
	case reflect.String,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return true
	}
	return false
}

// orPlain is the codec, or that of keys which have a text of their own.
func (c KeyCodec[K]) orPlain() KeyCodec[K] {
	if c.Encode != nil {
		return c
	}
	return KeyCodec[K]{Encode: encodePlain[K], Decode: decodePlain[K]}
}

func encodePlain[K comparable](key K) (string, error) {
	switch v := reflect.ValueOf(key); {
	case v.Kind() == reflect.String:
		return v.String(), nil
	case v.CanInt():
		return strconv.FormatInt(v.Int(), 10), nil
	default:
		return strconv.FormatUint(v.Uint(), 10), nil
	}
}

func decodePlain[K comparable](text string) (key K, err error) {
	v := reflect.ValueOf(&key).Elem()
	switch {
	case v.Kind() == reflect.String:
		v.SetString(text)
		return key, nil
	case v.CanInt():
		n, err := strconv.ParseInt(text, 10, v.Type().Bits())
		if err == nil {
			v.SetInt(n)
		}
		return key, number[K](text, err)
	default:
		n, err := strconv.ParseUint(text, 10, v.Type().Bits())
		if err == nil {
			v.SetUint(n)
		}
		return key, number[K](text, err)
	}
}

func number[K comparable](text string, err error) error {
	if err != nil {
		return fmt.Errorf("it is %.64q; it takes a number that fits %v", text, reflect.TypeFor[K]())
	}
	return nil
}
