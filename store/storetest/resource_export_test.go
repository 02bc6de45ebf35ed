package storetest

import "testing"

// ResourceCases are the suite's parts, for the test that proves it.
func ResourceCases() (list []func(testing.TB, func(testing.TB) ResourceBackend)) {
	for _, c := range resourceCases {
		list = append(list, c.run)
	}
	return list
}

// EpochCases are likewise those of [TestResourceEpochs].
func EpochCases() (list []func(testing.TB, func(testing.TB) ResourceBackend)) {
	for _, c := range epochCases {
		list = append(list, c.run)
	}
	return list
}
