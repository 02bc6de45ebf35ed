package storetest

import (
	"testing"

	"github.com/penstock-go/penstock/store"
)

// Cases are the suite's parts, for the test that proves it.
func Cases() (list []func(testing.TB, func(testing.TB, store.Merge) Backend)) {
	for _, c := range cases {
		list = append(list, c.run)
	}
	return list
}
