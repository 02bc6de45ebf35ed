package cluster

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestG11_SleepOfTheMachineIsNoticed(t *testing.T) {
	asked := 0
	var wall, monotonic, boot time.Duration = 1e18, 5e9, 7e9
	c := bootClock{boot: func() time.Duration {
		asked++
		return boot
	}}
	now := func() time.Duration { return c.at(wall, monotonic) }
	pass := func(d, asleep time.Duration) {
		wall, monotonic, boot = wall+d+asleep, monotonic+d, boot+d+asleep
	}
	require.Equal(t, boot, now())
	for range 1000 {
		pass(time.Hour, 0)
		require.Equal(t, boot, now())
	}
	require.Equal(t, 1, asked, "the kernel is not asked while nobody sleeps")
	pass(time.Second, 2*time.Millisecond)
	require.Equal(t, boot, now())
	pass(time.Second, 8*time.Hour)
	require.Equal(t, boot, now())
	require.Equal(t, 3, asked)
	wall -= time.Hour // somebody has set it
	require.Equal(t, boot, now())
	for range 1000 { // it is slewed
		pass(time.Second, 0)
		wall += 500 * time.Microsecond
		require.InDelta(t, float64(boot), float64(now()), float64(unnoticed))
	}
	require.Less(t, asked, 1000)
}

func TestBoottimeIsTheKernels(t *testing.T) {
	var ts unix.Timespec
	require.NoError(t, unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts))
	before := time.Duration(ts.Nano())
	now := boottime()
	require.NoError(t, unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts))
	require.GreaterOrEqual(t, now, before-unnoticed)
	require.LessOrEqual(t, now, time.Duration(ts.Nano())+unnoticed)
}

func BenchmarkBoottime(b *testing.B) {
	for b.Loop() {
		boottime()
	}
}
