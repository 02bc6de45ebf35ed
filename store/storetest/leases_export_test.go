package storetest

import "testing"

// LeaseCases are the suite's parts, for the test that proves it.
func LeaseCases() (list []func(testing.TB, func(testing.TB) LeasesBackend)) {
	for _, c := range leaseCases {
		list = append(list, c.run)
	}
	return list
}
