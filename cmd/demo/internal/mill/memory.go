package mill

import (
	"fmt"
	"os"
	"strings"
)

// peakMemory is the most memory that the process ever had resident, in bytes. Linux tells; elsewhere it is 0.
func peakMemory(pid int) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	return highWater(string(status))
}

// highWater finds the peak in what /proc/PID/status says: "VmHWM:	   12345 kB".
func highWater(status string) int64 {
	_, rest, found := strings.Cut(status, "\nVmHWM:")
	var kib int64
	if _, err := fmt.Sscanf(rest, "%d kB", &kib); !found || err != nil {
		return 0
	}
	return kib << 10
}
