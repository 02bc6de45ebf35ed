package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/cmd/demo/internal/bank"
)

// counter is where tellers hand in their transfers: a server on a loopback port of its own.
type counter struct {
	url  *url.URL
	http *http.Server
}

// receipt is the answer to a transfer that is on disk.
type receipt struct {
	Left int64 `json:"left"` // what the payer has
}

// longestTransfer is the longest text of a transfer that is read.
const longestTransfer = 1 << 10

// openCounter listens on a free loopback port and serves until close.
func openCounter(m bank.Mover) (*counter, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("the server finds no loopback port: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /transfers", func(w http.ResponseWriter, r *http.Request) { take(m, w, r) })
	c := &counter{url: &url.URL{Scheme: "http", Host: listener.Addr().String(), Path: "/transfers"}, http: &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          log.New(io.Discard, "", 0), // what fails is told by the tellers
	}}
	go func() { _ = c.http.Serve(listener) }() // ends with close, and with nothing else worth telling
	return c, nil
}

// take answers 200 when the transfer is on disk, 409 when the payer has not as much, and 400 or 500.
func take(m bank.Mover, w http.ResponseWriter, r *http.Request) {
	var t bank.Transfer
	body := json.NewDecoder(http.MaxBytesReader(w, r.Body, longestTransfer))
	body.DisallowUnknownFields()
	err := body.Decode(&t)
	if err != nil {
		err = fmt.Errorf("%w transfer: %w", penstock.ErrInvalid, err)
	} else {
		err = t.Validate()
	}
	var done receipt
	if err == nil {
		done.Left, err = m.Move(r.Context(), t)
	}
	switch {
	case err == nil:
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(done)
	case errors.Is(err, bank.ErrPoor):
		http.Error(w, err.Error(), http.StatusConflict)
	case errors.Is(err, penstock.ErrInvalid):
		http.Error(w, err.Error(), http.StatusBadRequest)
	default:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// close ends the server: requests that run get until ctx ends.
func (c *counter) close(ctx context.Context) error {
	if err := c.http.Shutdown(ctx); err != nil {
		_ = c.http.Close()
		return fmt.Errorf("the server does not end: %w", err)
	}
	return nil
}
