package mill

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func get(t *testing.T, client *http.Client, url string) string {
	answer, err := client.Get(url)
	require.NoError(t, err)
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, http.StatusOK, answer.StatusCode)
	return string(body)
}

// TestProcess: behind every guard, a mill does the work it is asked for, counts it, and ends.
func TestProcess(t *testing.T) {
	const work = Work(3)
	want, err := work.Do(t.Context())
	require.NoError(t, err)
	for _, guard := range []Guard{None, Semaphore, Queue} {
		t.Run(string(guard), func(t *testing.T) {
			p, err := Start(Config{Guard: guard, Work: work, Deadline: time.Minute})
			require.NoError(t, err)
			connections := &http.Transport{}
			defer connections.CloseIdleConnections()
			for range 5 {
				assert.Equal(t, want, get(t, &http.Client{Transport: connections}, p.URL))
			}
			totals, err := p.Close()
			require.NoError(t, err)
			assert.Equal(t, 5, totals.Done)
			assert.Positive(t, totals.Processor)
			if runtime.GOOS == "linux" {
				assert.Greater(t, totals.Memory, int64(1<<20))
			}
			again, err := p.Close()
			assert.NoError(t, err)
			assert.Equal(t, totals, again)
			assert.NotNil(t, p.command.ProcessState, "it has ended, and was waited for")
		})
	}
}

func TestProcessThatDoesNotStart(t *testing.T) {
	_, err := Start(Config{Guard: "moat"})
	assert.ErrorContains(t, err, `the server does not start: EOF: mill: guard is "moat"`)
}

// TestMillEndsWithItsStarter: when the process at the other end of its input is gone, a mill ends by itself, and leaves
// nothing behind.
func TestMillEndsWithItsStarter(t *testing.T) {
	for _, guard := range []string{"none", "semaphore", "queue"} {
		input, hold, err := os.Pipe()
		require.NoError(t, err)
		said, stdout := io.Pipe()
		ended := make(chan error, 1)
		go func() {
			ended <- serve(`{"guard":"`+guard+`","work":1,"deadline_ns":1000000000}`, input, stdout)
		}()
		var ready greeting
		require.NoError(t, json.NewDecoder(said).Decode(&ready))
		assert.True(t, strings.HasPrefix(ready.URL, "http://127.0.0.1:"))
		require.NoError(t, hold.Close())
		assert.NoError(t, <-ended, guard)
		require.NoError(t, input.Close())
	}
}

func TestMillWithoutConfig(t *testing.T) {
	err := serve("", strings.NewReader(""), io.Discard)
	assert.ErrorContains(t, err, Variable)
	var stdout bytes.Buffer
	assert.Error(t, serve(`{"guard":""}`, strings.NewReader(""), &stdout))
	assert.Empty(t, stdout.String())
}

func TestHighWater(t *testing.T) {
	for status, want := range map[string]int64{
		"Name:\tdemo\nVmHWM:\t   12345 kB\nVmRSS:\t    1 kB\n": 12345 << 10,
		"Name:\tdemo\nVmRSS:\t    1 kB\n":                      0,
		"":                                                     0,
		"Name:\tdemo\nVmHWM:\tmuch\n":                          0,
	} {
		assert.Equal(t, want, highWater(status), "%q", status)
	}
	assert.Zero(t, peakMemory(-1))
}
