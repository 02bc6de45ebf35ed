package queuetest

import "testing"

// Cases are the suite's parts, for the test that proves it.
func Cases() (list []func(testing.TB, Config)) {
	for _, c := range cases {
		list = append(list, c.run)
	}
	return list
}
