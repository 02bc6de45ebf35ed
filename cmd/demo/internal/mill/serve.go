package mill

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"time"
)

// Variable is the environment variable that makes a program a mill: where it is set, main calls [Main] and nothing else.
// It holds a [Config] as JSON.
const Variable = "PENSTOCK_DEMO_MILL"

// Config is what a mill is told.
type Config struct {
	Guard    Guard         `json:"guard"`
	Work     Work          `json:"work"`        // of each request
	Deadline time.Duration `json:"deadline_ns"` // after which a client does not want its answer any more
}

// Main serves until stdin ends, which it does when the process that holds its other end has died. When it is ready it writes
// a [greeting] to stdout as a line, and from then on a byte for every request whose work was done: a process that is busy
// beyond its means could not be asked for that.
func Main(config string, stdin io.Reader, stdout, stderr io.Writer) (code int) {
	signal.Ignore(os.Interrupt) // Ctrl-C is for the process that started this one
	runtime.GOMAXPROCS(1)
	if err := serve(config, stdin, stdout); err != nil {
		_, _ = fmt.Fprintf(stderr, "mill: %v\n", err)
		return 1
	}
	return 0
}

// greeting is the first thing that a mill says.
type greeting struct {
	URL     string        `json:"url"`
	Startup time.Duration `json:"startup_ns"` // processor time that it took to get ready
}

func serve(config string, stdin io.Reader, stdout io.Writer) error {
	var cfg Config
	if err := json.Unmarshal([]byte(config), &cfg); err != nil {
		return fmt.Errorf("%s: %w", Variable, err)
	}
	handler, stop, err := cfg.Guard.handler(grind(cfg.Work, stdout), cfg.Deadline)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("no loopback port: %w", err)
	}
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          log.New(io.Discard, "", 0), // clients that give up are no news here
	}
	over := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, stdin)
		over <- errors.Join(err, server.Close())
	}()
	ready := greeting{URL: "http://" + listener.Addr().String(), Startup: processorUsed()}
	if err := json.NewEncoder(stdout).Encode(ready); err != nil {
		return err
	}
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return errors.Join(<-over, stop(context.Background()))
}

// grind is the handler: it works, tells done so, and answers with the result.
func grind(work Work, done io.Writer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sum, err := work.Do(r.Context())
		if err != nil {
			return // nobody reads the answer
		}
		if _, err := done.Write([]byte{'.'}); err != nil {
			return // the process that started this one is gone
		}
		_, _ = io.WriteString(w, sum)
	})
}
