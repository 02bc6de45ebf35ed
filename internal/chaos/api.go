package main

import (
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/penstock-go/penstock/internal/fleet"
)

// api is the record behind HTTP.
type api struct {
	*record
	url  string
	http *http.Server
}

func serveAPI(r *record) (*api, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	a := &api{record: r, url: "http://" + listener.Addr().String() + "/"}
	a.http = &http.Server{Handler: http.HandlerFunc(a.answer), ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	go func() { _ = a.http.Serve(listener) }()
	return a, nil
}

func (a *api) answer(w http.ResponseWriter, r *http.Request) {
	id, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	sent, err := strconv.ParseInt(r.Header.Get(fleet.SentHeader), 10, 64)
	if !ok || err != nil {
		http.Error(w, "who are you, and since when?", http.StatusBadRequest)
		return
	}
	switch a.arrive(id, time.Duration(sent), fleet.Boottime) {
	case refused:
		w.WriteHeader(http.StatusTooManyRequests)
	case late:
		w.WriteHeader(fleet.StatusLate)
	}
}

func (a *api) close() { _ = a.http.Close() }
