package strict

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestServer(t *testing.T) {
	server, err := Start(Rule{Events: 1, Per: time.Hour})
	require.NoError(t, err)
	defer func() { assert.NoError(t, server.Close(t.Context())) }()
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()

	get := func(url, authorization string) *http.Response {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		require.NoError(t, err)
		r.Header.Set("Authorization", authorization)
		answer, err := client.Do(r)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		return answer
	}
	assert.Equal(t, http.StatusNoContent, get(server.Hello, "Bearer a").StatusCode)
	assert.Equal(t, http.StatusUnauthorized, get(server.URL, "").StatusCode)
	assert.Equal(t, http.StatusUnauthorized, get(server.URL, "Bearer ").StatusCode)
	assert.Zero(t, server.Record.Totals(), "neither of these is judged")

	assert.Equal(t, http.StatusOK, get(server.URL, "Bearer a").StatusCode)
	refused := get(server.URL, "Bearer a")
	assert.Equal(t, http.StatusTooManyRequests, refused.StatusCode)
	assert.Equal(t, "3600", refused.Header.Get("Retry-After"))
	assert.Equal(t, http.StatusOK, get(server.URL, "Bearer b").StatusCode)
	assert.Equal(t, Totals{Served: 2, Refused: 1, Busiest: 2}, server.Record.Totals())
}
