package proc

import (
	"bytes"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestP8_TheWholeGroupIsKilled(t *testing.T) {
	var l Launcher
	defer l.Close()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	cmd := exec.Command("sh", "-c", "sleep 1000 & echo $!; wait")
	cmd.Stdout = w
	p, err := l.Start(cmd, nil, false)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	var pid [16]byte
	n, err := r.Read(pid[:])
	require.NoError(t, err)
	require.NotZero(t, n)
	p.Kill()
	<-p.Gone()
	p.Kill() // of nobody any more
	require.Equal(t, "killed", p.Exit().Signal)
	n, err = r.Read(pid[:]) // whoever is left would hold the pipe
	require.Zero(t, n)
	require.Error(t, err)
}

func TestAClosedLauncherStartsNothing(t *testing.T) {
	var l Launcher
	l.Close()
	_, err := l.Start(exec.Command("true"), nil, false)
	require.ErrorIs(t, err, ErrLauncherClosed)
	var used Launcher
	p, err := used.Start(exec.Command("true"), nil, false)
	require.NoError(t, err)
	<-p.Gone()
	require.Equal(t, Exit{}, p.Exit())
	used.Close()
	used.Close()
	_, err = used.Start(exec.Command("/no/such/program"), nil, false)
	require.ErrorIs(t, err, ErrLauncherClosed)
}

func TestDataIsWhatAProcessHasMapped(t *testing.T) {
	var l Launcher
	defer l.Close()
	cmd := exec.Command("cat")
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	p, err := l.Start(cmd, nil, false)
	require.NoError(t, err)
	d, err := DataOf(p.Pid())
	require.NoError(t, err)
	n, err := d.Bytes()
	require.NoError(t, err)
	require.Positive(t, n)
	require.NoError(t, CapData(p.Pid(), 123<<20))
	limits, err := os.ReadFile("/proc/" + strconv.Itoa(p.Pid()) + "/limits")
	require.NoError(t, err)
	require.Contains(t, string(bytes.Join(bytes.Fields(limits), []byte(" "))), "Max data size 128974848 unlimited")
	require.NoError(t, stdin.Close())
	<-p.Gone()
	require.NoError(t, d.Close())
}
