package limit_test

import (
	"testing"
	"time"

	"github.com/penstock-go/penstock/limit"
)

// BenchmarkAdaptive is a look at the limit and a sample.
func BenchmarkAdaptive(b *testing.B) {
	a, err := limit.NewAdaptive(limit.AdaptiveConfig{})
	if err != nil {
		b.Fatal(err)
	}
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(100 * time.Microsecond)
		a.Sample(now, 10*time.Millisecond, a.Limit(), false)
	}
}

// BenchmarkCoDel is one change of a line.
func BenchmarkCoDel(b *testing.B) {
	c := limit.NewCoDel(0, 0)
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(100 * time.Microsecond)
		c.Update(now, 7*time.Millisecond, false)
		c.Patience(now, time.Second)
	}
}
