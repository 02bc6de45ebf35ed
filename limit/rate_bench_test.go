package limit_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/penstock-go/penstock/limit"
)

// BenchmarkRate is a Wait and a Take at the full rate; what is late is caught up on.
func BenchmarkRate(b *testing.B) {
	for _, perSecond := range []float64{10, 1000, 1_000_000} {
		b.Run(fmt.Sprint(perSecond), func(b *testing.B) {
			r, err := limit.NewRate(perSecond)
			if err != nil {
				b.Fatal(err)
			}
			start := time.Now()
			now := start
			b.ReportAllocs()
			for b.Loop() {
				now = now.Add(r.Wait(now, 1))
				r.Take(now, start, 1)
			}
		})
	}
}
