// Package keytest has the tests of keys of all kinds. They are not beside the others because a buffer is compiled anew for each type of
// key: the dozen types that nothing else needs took most of the time that it takes to build those.
package keytest
