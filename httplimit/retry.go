package httplimit

import (
	"io"
	"net/http"
	"time"
)

// Bounds on what is read of an answer that will not be returned. Reading it to its end lets the connection be used
// again; a server that dribbles costs us the connection, not the wait.
const (
	maxDrain     = 64 << 10 // bytes
	maxDrainTime = time.Second
)

// repeatable reports whether sending req again does no harm and is possible: its method is idempotent or it carries
// an idempotency key, and its body, if any, can be had again.
func repeatable(req *http.Request) bool {
	switch req.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
	default:
		if req.Header.Get("Idempotency-Key") == "" && req.Header.Get("X-Idempotency-Key") == "" {
			return false
		}
	}
	return req.Body == nil || req.Body == http.NoBody || req.GetBody != nil
}

// rewind is req with a fresh body; req itself is not touched.
func rewind(req *http.Request) (*http.Request, error) {
	if req.Body == nil || req.Body == http.NoBody {
		return req, nil
	}
	body, err := req.GetBody()
	if err != nil {
		return nil, err
	}
	again := req.WithContext(req.Context())
	again.Body = body
	return again, nil
}

// drain reads what little may be left of body, and closes it.
func drain(body io.ReadCloser) {
	late := time.AfterFunc(maxDrainTime, func() { _ = body.Close() })
	_, _ = io.CopyN(io.Discard, body, maxDrain)
	late.Stop()
	_ = body.Close()
}

// closeBody keeps the promise of an [http.RoundTripper] to close the body of a request it does not send.
func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}
