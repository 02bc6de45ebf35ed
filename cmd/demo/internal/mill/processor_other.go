//go:build !unix

package mill

import "time"

// processorUsed is the processor time that this process has used; 0 where the system does not tell.
func processorUsed() time.Duration { return 0 }
