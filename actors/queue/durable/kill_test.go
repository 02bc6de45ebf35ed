package durable

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/internal/roomtest"
	"github.com/penstock-go/penstock/internal/victim"
)

// life is what a victim is told: the queue's file, and the number of its round.
type life struct {
	Path  string
	Round int
}

func TestMain(m *testing.M) {
	victim.Main(work)
	os.Exit(m.Run())
}

// work puts items in, takes them and acknowledges them, as fast as it can, for ever. It says what it was promised, after
// that: "+item" was put in, "-item" was acknowledged. "!item" says that it is about to acknowledge: after that the item may
// be gone.
func work(l life) error {
	sys, err := penstock.New()
	if err != nil {
		return err
	}
	q, err := Add(sys, "test", Config[string]{Path: l.Path, MaxSize: maxCount, MaxTries: maxCount})
	if err != nil {
		return err
	}
	victim.Say("ready", "")
	ctx := context.Background()
	var wg sync.WaitGroup
	for caller := range 8 {
		wg.Go(func() {
			for i := 0; ; i++ {
				item := fmt.Sprint(l.Round, "/", caller, "/", i)
				victim.Must(q.Enqueue(ctx, item))
				victim.Say("+", item)
			}
		})
		wg.Go(func() {
			for {
				list, err := q.Dequeue(ctx, 1+caller)
				victim.Must(err)
				for _, d := range list {
					victim.Say("!", d.Value)
				}
				victim.Must(q.Ack(ctx, receipts(list)...))
				for _, d := range list {
					victim.Say("-", d.Value)
				}
			}
		})
	}
	wg.Wait()
	return nil
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

// killOne runs a child and kills it after a random number of lines.
func killOne(t *testing.T, path string, round int, line func(string)) {
	child := victim.Start(t, life{path, round})
	last := rand.IntN(3000) // the first ones while it starts, the others in the middle of its work
	n := 0
	if n == last {
		child.Kill()
	}
	for text := range child.Lines() {
		if text != "ready" {
			line(text)
		}
		if n++; n == last {
			child.Kill()
		}
	}
	require.True(t, child.Killed(), "the child ended by itself")
	child.Wait()
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
