// Package keys says what rooms take as keys.
package keys

import (
	"errors"
	"fmt"
	"reflect"
	"unicode/utf8"

	"github.com/penstock-go/penstock/registry"
)

// Max is how many bytes a name, or a key that is a string, has at most.
const Max = 512

// Check says what is wrong with a key, without naming it: "it is …; it takes …".
func Check[K comparable](key K) error {
	if !registry.Hashable(key) {
		return fmt.Errorf("it is a %T or holds what cannot be compared; it takes what can be a map's key", key)
	}
	if key != key { //nolint:all // a NaN is no key: it would be another one each time
		return errors.New("it is not equal to itself")
	}
	s, ok := Text(key)
	if ok && (s == "" || len(s) > Max || !utf8.ValidString(s)) {
		if len(s) > Max {
			s = s[:Max] + "…"
		}
		return fmt.Errorf("it is %q; it takes 1 to %d bytes of UTF-8", s, Max)
	}
	return nil
}

// Text is the key as a string, if it is one: of any string type.
func Text[K comparable](key K) (string, bool) {
	if s, ok := any(key).(string); ok {
		return s, true
	}
	if v := reflect.ValueOf(key); v.Kind() == reflect.String {
		return v.String(), true
	}
	return "", false
}
