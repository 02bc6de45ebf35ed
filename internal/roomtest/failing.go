package roomtest

import (
	"runtime"
	"testing"
)

// Fails reports whether a subject fails one of a suite's cases, or has it panic: for tests of suites, which must find what is
// broken.
func Fails[S any](t testing.TB, cases []func(testing.TB, S), subject S) bool {
	for _, run := range cases {
		silent := &silentTB{TB: t}
		done := make(chan struct{})
		go func() {
			defer close(done)
			defer func() {
				if reason := recover(); reason != nil {
					silent.failed = true
				}
			}()
			run(silent, subject)
		}()
		<-done
		if silent.failed {
			return true
		}
	}
	return false
}

// silentTB keeps a failure to itself.
type silentTB struct {
	testing.TB
	failed bool
}

func (s *silentTB) Helper()               {}
func (s *silentTB) Logf(string, ...any)   {}
func (s *silentTB) Log(...any)            {}
func (s *silentTB) Fail()                 { s.failed = true }
func (s *silentTB) Failed() bool          { return s.failed }
func (s *silentTB) FailNow()              { s.failed = true; runtime.Goexit() }
func (s *silentTB) Errorf(string, ...any) { s.failed = true }
func (s *silentTB) Error(...any)          { s.failed = true }
func (s *silentTB) Fatalf(string, ...any) { s.FailNow() }
func (s *silentTB) Fatal(...any)          { s.FailNow() }
