package pool

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/messages"
)

// Work is what a task is to do, as it travels to another node.
type Work struct {
	Tier     Tier     // Process or Wasm
	Name     string   // of the function or the module
	JSON     bool     // of a function: the codec
	Digest   []byte   // of the module's code
	Form     Form     // of the call of a module
	Function string   // of the module
	Numbers  []uint64 // that it is given
	Args     []string // likewise
	Input    []byte   // likewise, or the function's argument
}

// Form is how a module is called.
type Form uint8

// The forms.
const (
	CallForm  Form = 1 // with numbers
	BytesForm Form = 2
	MainForm  Form = 3
)

// size is how many bytes of a message it takes, about.
func (w *Work) size() int {
	n := len(w.Input) + 8*len(w.Numbers) + len(w.Function)
	for _, arg := range w.Args {
		n += len(arg) + 4
	}
	return n
}

// errand is what another node is asked.
type errand struct {
	task Task
	wait time.Duration // for room; 0: not at all
	work Work
}

func (e *errand) wire() ([]byte, error) {
	m := &messages.PoolTask{
		Name: e.task.Name, Time: int64(e.task.MaxTime), Memory: e.task.MaxMemory, Nice: int32(e.task.Nice), Wait: int64(e.wait),
	}
	switch w := &e.work; w.Tier {
	case Process:
		m.Work = &messages.PoolTask_Function{Function: &messages.PoolFunction{Name: w.Name, Json: w.JSON, Argument: w.Input}}
	case Wasm:
		m.Work = &messages.PoolTask_Module{Module: &messages.PoolModule{
			Name: w.Name, Digest: w.Digest, Form: messages.PoolForm(w.Form), Function: w.Function, Numbers: w.Numbers, Input: w.Input, Args: w.Args,
		}}
	default:
		return nil, fmt.Errorf("%w work: tier %v does not travel; it takes process or wasm", penstock.ErrInvalid, w.Tier)
	}
	return proto.Marshal(m)
}

// readErrand reads what another node asks. What the task may be is checked when it is asked of the pool.
func readErrand(body []byte) (*errand, error) {
	m := new(messages.PoolTask)
	if err := proto.Unmarshal(body, m); err != nil {
		return nil, fmt.Errorf("%w task: %w", penstock.ErrInvalid, err)
	}
	e := &errand{
		task: Task{Name: m.GetName(), MaxTime: time.Duration(m.GetTime()), MaxMemory: m.GetMemory(), Nice: int(m.GetNice())},
		wait: min(max(time.Duration(m.GetWait()), 0), maxWait),
	}
	switch {
	case m.GetFunction() != nil:
		f := m.GetFunction()
		e.work = Work{Tier: Process, Name: f.GetName(), JSON: f.GetJson(), Input: f.GetArgument()}
	case m.GetModule() != nil:
		w := m.GetModule()
		if w.GetForm() < messages.PoolForm_POOL_FORM_NONE || w.GetForm() > math.MaxUint8 {
			return nil, fmt.Errorf("%w task: the form of its call is %d", penstock.ErrInvalid, w.GetForm())
		}
		e.work = Work{
			Tier: Wasm, Name: w.GetName(), Digest: w.GetDigest(), Form: Form(w.GetForm()), Function: w.GetFunction(),
			Numbers: w.GetNumbers(), Args: w.GetArgs(), Input: w.GetInput(),
		}
	default:
		return nil, fmt.Errorf("%w task: it is neither of a function nor of a module that this version knows", penstock.ErrInvalid)
	}
	return e, nil
}

// What texts are cut to, so that the message holds them.
const (
	mostText  = 8 << 10
	mostStack = 32 << 10
)

func cut[T ~string | ~[]byte](s T, most int) T { return s[:min(len(s), most)] }

// endOf tells the node that asked how a task ended.
func endOf(value []byte, err error) *messages.PoolEnd {
	if err == nil {
		if len(value) <= maxTravel {
			return &messages.PoolEnd{Outcome: messages.PoolOutcome_POOL_OUTCOME_VALUE, Value: value}
		}
		err = fmt.Errorf("%w result: it has %d bytes; one that travels to another node may have %d", penstock.ErrInvalid, len(value), maxTravel)
	}
	m := &messages.PoolEnd{Outcome: messages.PoolOutcome_POOL_OUTCOME_FAILED, Text: err.Error(), Class: classOf(err)}
	var own *RemoteError
	var panicked *penstock.PanicError
	var timedOut *TimeoutError
	var killed *KilledError
	var memory *MemoryError
	var crash *CrashError
	var no *RejectError
	switch {
	case errors.Is(err, errGone):
		m.Outcome = messages.PoolOutcome_POOL_OUTCOME_GONE
	case errors.As(err, &no):
		m.Outcome, m.Reason, m.Pool, m.Amount = messages.PoolOutcome_POOL_OUTCOME_REJECTED, reasonOf(no.Reason), no.Pool, no.Free
	case errors.As(err, &own):
		m.Outcome = messages.PoolOutcome_POOL_OUTCOME_ERROR
	case errors.As(err, &panicked):
		m.Outcome, m.Text, m.Stack = messages.PoolOutcome_POOL_OUTCOME_PANIC, fmt.Sprint(panicked.Value), cut(panicked.Stack, mostStack)
	case errors.Is(err, ErrGoexit):
		m.Outcome = messages.PoolOutcome_POOL_OUTCOME_GOEXIT
	case errors.As(err, &timedOut):
		m.Outcome = messages.PoolOutcome_POOL_OUTCOME_TIMEOUT
	case errors.As(err, &killed):
		m.Outcome, m.Text, m.Class = messages.PoolOutcome_POOL_OUTCOME_KILLED, killed.Cause.Error(), classOf(killed.Cause)
	case errors.As(err, &memory):
		m.Outcome, m.Text, m.Amount, m.Tier = messages.PoolOutcome_POOL_OUTCOME_MEMORY, memory.Detail, memory.Limit, uint32(memory.Tier)
	case errors.As(err, &crash):
		m.Outcome, m.Text, m.Exit, m.Signal = messages.PoolOutcome_POOL_OUTCOME_CRASH, crash.Stderr, int64(crash.ExitCode), crash.Signal
	}
	m.Text = strings.ToValidUTF8(cut(m.Text, mostText), "?")
	return m
}

// understood is what the other node's answer means.
func understood(body []byte, p *Pool, t *Task) ([]byte, error) {
	m := new(messages.PoolEnd)
	if err := proto.Unmarshal(body, m); err != nil {
		return nil, &LostError{Node: p.member, Pool: p.there, Task: t.Name, Cause: fmt.Errorf("its answer cannot be read: %w", err)}
	}
	text := &textError{text: m.GetText(), class: classes[m.GetClass()]}
	task := taskAt(p.member, p.there, t.Name)
	switch m.GetOutcome() {
	case messages.PoolOutcome_POOL_OUTCOME_VALUE:
		return m.GetValue(), nil
	case messages.PoolOutcome_POOL_OUTCOME_ERROR:
		return nil, &RemoteError{Node: p.member, Message: text.text, kind: text.class}
	case messages.PoolOutcome_POOL_OUTCOME_PANIC:
		return nil, fmt.Errorf("%s: %w", task, &penstock.PanicError{Value: text.text, Stack: m.GetStack()})
	case messages.PoolOutcome_POOL_OUTCOME_GOEXIT:
		return nil, fmt.Errorf("%s: %w", task, ErrGoexit)
	case messages.PoolOutcome_POOL_OUTCOME_TIMEOUT:
		return nil, &TimeoutError{Node: p.member, Pool: p.there, Task: t.Name, After: t.MaxTime}
	case messages.PoolOutcome_POOL_OUTCOME_KILLED:
		var cause error = text
		if text.class == ErrKilled {
			cause = ErrKilled
		}
		return nil, &KilledError{Node: p.member, Pool: p.there, Task: t.Name, Cause: cause}
	case messages.PoolOutcome_POOL_OUTCOME_MEMORY:
		tier := Tier(min(m.GetTier(), math.MaxUint8))
		return nil, &MemoryError{Node: p.member, Pool: p.there, Task: t.Name, Tier: tier, Limit: m.GetAmount(), Detail: text.text}
	case messages.PoolOutcome_POOL_OUTCOME_CRASH:
		return nil, &CrashError{Node: p.member, Pool: p.there, Task: t.Name, ExitCode: int(m.GetExit()), Signal: m.GetSignal(), Stderr: text.text}
	case messages.PoolOutcome_POOL_OUTCOME_REJECTED:
		no := &RejectError{Node: p.member, Pool: m.GetPool(), Task: t.Name, Reason: reasonFrom(m.GetReason()), Need: t.MaxMemory, Free: m.GetAmount()}
		if no.Reason == Broken {
			no.Cause = text
		}
		return nil, &refusal{no}
	case messages.PoolOutcome_POOL_OUTCOME_GONE:
		return nil, &LostError{Node: p.member, Pool: p.there, Task: t.Name, Cause: text}
	case messages.PoolOutcome_POOL_OUTCOME_FAILED:
		return nil, fmt.Errorf("node %q: %w", p.member, text)
	}
	return nil, &LostError{Node: p.member, Pool: p.there, Task: t.Name, Cause: fmt.Errorf("its answer, %v, is none that this version knows", m.GetOutcome())}
}

// textError is another node's error: its text, and its class if it has one.
type textError struct {
	text  string
	class error
}

func (e *textError) Error() string { return e.text }
func (e *textError) Unwrap() error { return e.class }

var classes = map[messages.PoolClass]error{
	messages.PoolClass_POOL_CLASS_KILLED:   ErrKilled,
	messages.PoolClass_POOL_CLASS_CANCELED: context.Canceled,
	messages.PoolClass_POOL_CLASS_DEADLINE: context.DeadlineExceeded,
	messages.PoolClass_POOL_CLASS_INVALID:  penstock.ErrInvalid,
	messages.PoolClass_POOL_CLASS_CLOSED:   penstock.ErrClosed,
	messages.PoolClass_POOL_CLASS_FULL:     penstock.ErrFull,
}

func classOf(err error) messages.PoolClass {
	for n := messages.PoolClass_POOL_CLASS_CANCELED; n <= messages.PoolClass_POOL_CLASS_KILLED; n++ {
		if errors.Is(err, classes[n]) {
			return n
		}
	}
	return messages.PoolClass_POOL_CLASS_NONE
}

// The reasons have the same numbers up to Broken; what came later does not.
func reasonOf(r Reason) messages.PoolReason {
	switch {
	case r <= Broken:
		return messages.PoolReason(r)
	case r == Unregistered:
		return messages.PoolReason_POOL_REASON_UNKNOWN
	}
	return messages.PoolReason_POOL_REASON_NONE
}

func reasonFrom(r messages.PoolReason) Reason {
	switch {
	case r > messages.PoolReason_POOL_REASON_NONE && r <= messages.PoolReason_POOL_REASON_BROKEN:
		return Reason(r)
	case r == messages.PoolReason_POOL_REASON_UNKNOWN:
		return Unregistered
	}
	return Away // it was not run, and why is for a later version to know
}
