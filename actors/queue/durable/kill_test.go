package durable

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/internal/roomtest"
)

// killMe is the environment variable that makes this test's binary the process that is killed: it holds the queue's path
// and the number of the round.
const killMe = "PENSTOCK_DURABLE_KILL"

func TestMain(m *testing.M) {
	if spec := os.Getenv(killMe); spec != "" {
		work(spec)
		return
	}
	os.Exit(m.Run())
}

// work puts items in, takes them and acknowledges them, as fast as it can, for ever. It says what it was promised, after
// that: "+item" was put in, "-item" was acknowledged. "!item" says that it is about to acknowledge: after that the item may
// be gone.
func work(spec string) {
	path, round, _ := strings.Cut(spec, "|")
	sys, err := penstock.New()
	exitOn(err)
	q, err := Add(sys, "test", Config[string]{Path: path, MaxSize: maxCount, MaxTries: maxCount})
	exitOn(err)
	var mu sync.Mutex
	say := func(what, item string) {
		mu.Lock()
		defer mu.Unlock()
		_, err := fmt.Fprintf(os.Stdout, "%s%s\n", what, item)
		exitOn(err)
	}
	say("ready", "")
	ctx := context.Background()
	var wg sync.WaitGroup
	for caller := range 8 {
		wg.Go(func() {
			for i := 0; ; i++ {
				item := fmt.Sprint(round, "/", caller, "/", i)
				exitOn(q.Enqueue(ctx, item))
				say("+", item)
			}
		})
		wg.Go(func() {
			for {
				list, err := q.Dequeue(ctx, 1+caller)
				exitOn(err)
				for _, d := range list {
					say("!", d.Value)
				}
				exitOn(q.Ack(ctx, receipts(list)...))
				for _, d := range list {
					say("-", d.Value)
				}
			}
		})
	}
	wg.Wait()
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
}

// TestQ15_KillNine kills a process at random moments of its work with a queue: nothing that was acknowledged as put in is
// lost, and nothing that was acknowledged as done comes back.
func TestQ15_KillNine(t *testing.T) {
	rounds := 20
	if testing.Short() {
		rounds = 4
	}
	path := filepath.Join(t.TempDir(), "queue")
	putIn, ending, done := make(map[string]bool), make(map[string]bool), make(map[string]bool)
	for round := range rounds {
		killOne(t, path, round, func(line string) {
			switch item := line[1:]; line[0] {
			case '+':
				putIn[item] = true
			case '!':
				ending[item] = true
			case '-':
				done[item] = true
			}
		})
		left := itemsLeft(t, path)
		for item := range putIn {
			require.True(t, left[item] || ending[item], "round %d: %s was put in, and is lost", round, item)
		}
		for item := range done {
			require.False(t, left[item], "round %d: %s was acknowledged, and came back", round, item)
		}
	}
	require.NotEmpty(t, putIn)
	require.NotEmpty(t, done)
	t.Logf("%d rounds: %d items were put in, %d of them acknowledged", rounds, len(putIn), len(done))
}

// killOne runs a child and kills it after a random number of lines. What it had said by then counts, however late it is read.
func killOne(t *testing.T, path string, round int, line func(string)) {
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), killMe+"="+path+"|"+strconv.Itoa(round))
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	lines := bufio.NewReader(out)
	last := rand.IntN(3000) // the first ones while it starts, the others in the middle of its work
	for n := 0; ; n++ {
		if n == last {
			require.NoError(t, child.Process.Signal(syscall.SIGKILL))
		}
		text, err := lines.ReadString('\n')
		if err != nil {
			require.ErrorIs(t, err, io.EOF)
			require.GreaterOrEqual(t, n, last, "the child ended by itself")
			break // a line that was cut off was not said
		}
		if text = strings.TrimSpace(text); text != "ready" {
			line(text)
		}
	}
	_ = child.Wait()
}

// itemsLeft opens the queue as the next process would, and looks at what it has.
func itemsLeft(t *testing.T, path string) map[string]bool {
	sys, err := penstock.New()
	require.NoError(t, err)
	q, err := Add(sys, "test", Config[string]{Path: path, MaxSize: maxCount, MaxTries: maxCount})
	require.NoError(t, err)
	require.Zero(t, q.Info().Dead)
	left := make(map[string]bool)
	if n := q.Info().Waiting; n > 0 {
		list := dequeue(t, q, n)
		require.Len(t, list, n)
		for _, d := range list {
			require.False(t, left[d.Value], "%s is there twice", d.Value)
			left[d.Value] = true
		}
	}
	_ = sys.Close(roomtest.EndedContext())
	return left
}
