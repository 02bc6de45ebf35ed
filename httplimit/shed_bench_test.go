package httplimit_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/queue"
	"github.com/penstock-go/penstock/httplimit"
	"github.com/penstock-go/penstock/internal/linetest"
)

// nobody is a caller that reads no answer.
type nobody struct{ header http.Header }

func (n nobody) Header() http.Header         { return n.header }
func (n nobody) Write(b []byte) (int, error) { return len(b), nil }
func (n nobody) WriteHeader(int)             {}

// BenchmarkShed is what Shed adds to a request: when it passes, when it passes under a Timeout, and when it is refused.
func BenchmarkShed(b *testing.B) {
	for name, c := range map[string]struct {
		cfg     httplimit.ShedConfig
		refused bool
	}{
		"passes":       {httplimit.ShedConfig{}, false},
		"with timeout": {httplimit.ShedConfig{Timeout: time.Minute}, false},
		"refused":      {httplimit.ShedConfig{}, true},
	} {
		b.Run(name, func(b *testing.B) {
			sys, err := penstock.New()
			require.NoError(b, err)
			defer func() { require.NoError(b, sys.Close(context.Background())) }()
			q, err := queue.Add(sys, "web", queue.Config{Regulators: linetest.AtOnce(100), MaxSize: queue.NoWaiting})
			require.NoError(b, err)
			if c.refused {
				for range 100 {
					defer linetest.Occupy(b, q)()
				}
			}
			handler := httplimit.Shed(q, c.cfg)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			w := nobody{make(http.Header)}
			b.ReportAllocs()
			for b.Loop() {
				handler.ServeHTTP(w, r)
			}
		})
	}
}
