package storetest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock/actors/batch"
)

// addMe is the environment variable that makes a test's binary a process that adds: it holds what the test needs to find the table.
const addMe = "PENSTOCK_STORETEST_ADD"

const (
	processes   = 2
	processKeys = 10
	additions   = 150
)

// TestResourceProcesses has two processes add to the same ten rows, over and over again, and compares the sums. The processes run
// the test that calls it, which must do nothing else. Where makes an empty table, and says where it is to open, which makes a
// resource in the other processes; rows reads the amounts by key in the first one.
func TestResourceProcesses(t *testing.T, where func() string, open func(t testing.TB, where string) Resource, rows func() (map[string]int64, error)) {
	if where := os.Getenv(addMe); where != "" {
		addUp(t, open(t, where))
		return
	}
	there := where()
	want := map[string]int64{}
	for k := range processKeys {
		want[fmt.Sprint("key ", k)] = processes * additions
	}
	type child struct {
		cmd *exec.Cmd
		in  io.WriteCloser
		out *bufio.Reader
	}
	var children []child
	for range processes {
		cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.timeout=100s")
		cmd.Env = append(os.Environ(), addMe+"="+there)
		cmd.Stderr = os.Stderr
		in, err := cmd.StdinPipe()
		require.NoError(t, err)
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		t.Cleanup(func() { _ = cmd.Process.Kill() })
		children = append(children, child{cmd, in, bufio.NewReader(out)})
	}
	for _, c := range children {
		line, err := c.out.ReadString('\n')
		require.NoError(t, err)
		require.Equal(t, "ready\n", line)
	}
	for _, c := range children {
		require.NoError(t, c.in.Close()) // all begin
	}
	for _, c := range children {
		said, err := io.ReadAll(c.out)
		require.NoError(t, err)
		require.NoError(t, c.cmd.Wait(), "%s", said)
		line, _, _ := strings.Cut(string(said), "\n")
		t.Log("a process had ", line)
	}
	got, err := rows()
	require.NoError(t, err)
	require.Equal(t, want, got)
}

// addUp adds to all rows, as two batches would at the same time.
func addUp(t testing.TB, r Resource) {
	fmt.Println("ready")
	_, err := io.Copy(io.Discard, os.Stdin)
	require.NoError(t, err)
	conflicts := 0
	for range additions {
		var open []string
		for k := range processKeys {
			open = append(open, fmt.Sprint("key ", k))
		}
		for len(open) > 0 {
			var again []string
			values, errs := r.LoadMany(context.Background(), open)
			require.NoError(t, errors.Join(errs...))
			for _, a := range values {
				a.Amount++
			}
			for i, err := range r.SaveMany(context.Background(), open, values) {
				if errors.Is(err, batch.ErrConflict) {
					again = append(again, open[i])
					continue
				}
				require.NoError(t, err)
			}
			conflicts += len(again)
			open = again
		}
	}
	fmt.Println(conflicts, "conflicts")
}
