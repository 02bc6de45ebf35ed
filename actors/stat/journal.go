package stat

import (
	"cmp"
	"encoding/json"
	"time"
)

// Journal keeps what was counted and is not stored in a local file, so that kill −9 or a power cut loses none of it, or little:
// the next buffer on the same file stores it, and what was already under way under the ID that it had. One buffer at a time has
// the file, which remembers its buffer's name and type.
//
// What is lost when the process dies: without a journal, all that was not stored, which is what was counted in the last
// Interval and Jitter, and while the sink was away. With one, of what [Buffer.Increment] counted, at most what came in the last
// Every and the two writes of the file before the end; of what [Buffer.IncrementDurable] answered with nil, nothing. Nothing is
// stored twice in either mode, if the sink remembers IDs.
type Journal[K comparable] struct {
	// Path is the file, made if there is none. Default "": no journal
	Path string
	// Every is how often what was counted is written. Default 100ms
	Every time.Duration
	// LockTimeout is how long to wait for the file if another buffer or process has it. Default 1s
	LockTimeout time.Duration
	// Encode makes bytes of a key: the same for equal keys. Default: a string as it is, others by encoding/json
	Encode func(K) ([]byte, error)
	// Decode makes a key of its bytes. Default: what undoes the default Encode
	Decode func([]byte) (K, error)
}

func (j Journal[K]) withDefaults() Journal[K] {
	j.Every = cmp.Or(j.Every, 100*time.Millisecond)
	j.LockTimeout = cmp.Or(j.LockTimeout, time.Second)
	if j.Encode == nil {
		j.Encode, j.Decode = encodeKey[K], decodeKey[K]
	}
	return j
}

func (j Journal[K]) validate(check func(ok bool, format string, args ...any)) {
	check(j.Every >= 0 && j.Every <= time.Hour, "Journal.Every is %v; it takes a positive duration up to 1h, or 0 for 100ms", j.Every)
	check(j.LockTimeout >= 0 && j.LockTimeout <= time.Hour, "Journal.LockTimeout is %v; it takes a positive duration up to 1h, or 0 for 1s", j.LockTimeout)
	check((j.Encode == nil) == (j.Decode == nil), "Journal.Encode and Decode: only one is set; it takes both or none")
	check(j.Path != "" || j.Every == 0 && j.LockTimeout == 0 && j.Encode == nil, "Journal.Path is empty; it takes the path of the journal's file")
}

func encodeKey[K comparable](key K) ([]byte, error) {
	if s, ok := any(key).(string); ok {
		return []byte(s), nil
	}
	return json.Marshal(key)
}

func decodeKey[K comparable](data []byte) (key K, err error) {
	if s, ok := any(&key).(*string); ok {
		*s = string(data)
		return key, nil
	}
	return key, json.Unmarshal(data, &key)
}
