package wasm

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/pool"
)

// served are the modules of the process that other nodes may have it run: what they know of one is its name and its code.
var served sync.Map // name → *Module

// serve lets other nodes find the module.
func (m *Module) serve() error {
	if _, taken := served.LoadOrStore(m.cfg.Name, m); taken {
		return m.fault(fmt.Errorf("%w: another module that is Served has its name", penstock.ErrExists))
	}
	pool.HostBy(pool.Wasm, host)
	return nil
}

// host finds what another node asks for.
func host(w pool.Work) (func(context.Context) ([]byte, error), error) {
	found, ok := served.Load(w.Name)
	if !ok || !bytes.Equal(found.(*Module).digest[:], w.Digest) {
		return nil, nil
	}
	switch m := found.(*Module); w.Form {
	case pool.CallForm:
		call := m.Call(w.Function, w.Numbers...)
		return func(ctx context.Context) ([]byte, error) {
			results, err := call(ctx)
			return pack(results), err
		}, nil
	case pool.BytesForm:
		return m.Bytes(w.Function, w.Input), nil
	case pool.MainForm:
		return m.Main(w.Input, w.Args...), nil
	}
	return nil, fmt.Errorf("the form of its call is %d, which this version does not know", w.Form)
}

// far reports whether a pool of another node is to run the call.
func far(ctx context.Context) (*pool.Job, bool) {
	j, ok := pool.JobOf(ctx)
	if !ok || !j.Far() {
		return nil, false
	}
	j.Runs(pool.Wasm)
	return j, true
}

// work is a call of the module, as other nodes are asked for it.
func (m *Module) work(form pool.Form) pool.Work {
	return pool.Work{Tier: pool.Wasm, Name: m.cfg.Name, Digest: m.digest[:], Form: form}
}

// callFar has another node do a call with numbers.
func (m *Module) callFar(ctx context.Context, j *pool.Job, function string, args []uint64) ([]uint64, error) {
	w := m.work(pool.CallForm)
	w.Function, w.Numbers = function, args
	packed, err := j.Travel(ctx, w)
	if err != nil {
		return nil, err
	}
	if want := len(m.exports[function].ResultTypes()); len(packed) != 8*want {
		return nil, &AnswerError{Module: m.cfg.Name, Function: function, Why: fmt.Sprintf("it has %d bytes; it takes %d results of 8", len(packed), want)}
	}
	return unpack(packed), nil
}

func pack(numbers []uint64) (b []byte) {
	for _, n := range numbers {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	return b
}

func unpack(b []byte) (numbers []uint64) {
	for ; len(b) > 0; b = b[8:] {
		numbers = append(numbers, binary.LittleEndian.Uint64(b))
	}
	return numbers
}
