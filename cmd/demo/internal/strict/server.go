package strict

import (
	"context"
	"fmt"
	"io"
	"log"
	"math"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Server is the API on a loopback port of its own. The key of a request is its bearer token.
type Server struct {
	Record *Record
	URL    string // of the judged resource
	Hello  string // a resource that is not judged: clients open their connections with it
	http   *http.Server
}

// Start listens on a free loopback port and serves until Close.
func Start(rule Rule) (*Server, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("the API finds no loopback port: %w", err)
	}
	base := "http://" + listener.Addr().String()
	s := &Server{Record: NewRecord(rule), URL: base + "/v1/work", Hello: base + "/hello"}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/work", s.work)
	mux.HandleFunc("GET /hello", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	s.http = &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          log.New(io.Discard, "", 0), // a run that ends cuts connections off; that is no news
	}
	go func() { _ = s.http.Serve(listener) }() // ends with Close, and with nothing else worth telling
	return s, nil
}

// work answers 200 or, with the seconds to stay away, 429.
func (s *Server) work(w http.ResponseWriter, r *http.Request) {
	key, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || key == "" {
		http.Error(w, "a bearer token is needed", http.StatusUnauthorized)
		return
	}
	if wait, ok := s.Record.Arrive(key); !ok {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
		http.Error(w, "too many requests", http.StatusTooManyRequests)
		return
	}
	_, _ = io.WriteString(w, "done\n")
}

// Close ends the server: requests that run get until ctx ends.
func (s *Server) Close(ctx context.Context) error {
	if err := s.http.Shutdown(ctx); err != nil {
		_ = s.http.Close()
		return fmt.Errorf("the API does not end: %w", err)
	}
	return nil
}
