package registry

import "reflect"

// Hashable reports whether the key can be looked up. A comparable type may have values that cannot be compared: an interface
// with a slice in it, for one, which a map's look-up answers with a panic.
func Hashable[K comparable](key K) bool {
	return !mayHoldAny(reflect.TypeFor[K]()) || reflect.ValueOf(&key).Elem().Comparable()
}

// mayHoldAny reports whether values of a comparable type may hold some that cannot be compared.
func mayHoldAny(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Interface:
		return true
	case reflect.Array:
		return mayHoldAny(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if mayHoldAny(t.Field(i).Type) {
				return true
			}
		}
	}
	return false
}
