package sampler_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/sampler"
)

// A source is anything that gives a number. Whoever cares about the load watches it.
func Example() {
	sys, err := penstock.New()
	if err != nil {
		panic(err)
	}
	defer sys.Close(context.Background())

	var connections atomic.Int64 // of a database, say
	connections.Store(95)
	_, err = sampler.Add(sys, "database", sampler.Config{
		Source:     sampler.SourceFunc(func(context.Context) (float64, error) { return float64(connections.Load()), nil }),
		Interval:   10 * time.Millisecond,
		Thresholds: []float64{80, 90, 100},
	})
	if err != nil {
		panic(err)
	}
	levels := make(chan int, 10)
	stop, err := sampler.Watch(sys, func(load sampler.Load) { levels <- load["database"].Local })
	if err != nil {
		panic(err)
	}
	defer stop()
	fmt.Println(<-levels) // before the first sample
	fmt.Println(<-levels)
	connections.Store(20)
	fmt.Println(<-levels)
	// Output:
	// 0
	// 2
	// 0
}

// The processor's load of the container or machine, smoothed over ten samples.
func ExampleAdd() {
	sys, _ := penstock.New()
	defer sys.Close(context.Background())
	cpu, err := sampler.Add(sys, "cpu", sampler.Config{
		Source: sampler.CPU(),
		Calc: func(history []sampler.Sample) (mean float64) {
			for _, s := range history {
				mean += s.Value / float64(len(history))
			}
			return mean
		},
	})
	fmt.Println(err, cpu.Info().Thresholds, cpu.Level())
	// Output: <nil> [0.8 0.9 1] 0
}

// Levels of other nodes count until they expire.
func ExampleSetRemote() {
	sys, _ := penstock.New()
	defer sys.Close(context.Background())
	_ = sampler.SetRemote(sys, "node-2", map[string]int{"cpu": 3}, 3*time.Second)
	fmt.Println(sampler.Current(sys)["cpu"].Remote)
	sampler.ForgetRemote(sys, "node-2")
	fmt.Println(len(sampler.Current(sys)))
	// Output:
	// map[node-2:3]
	// 0
}

// Limits tells what to expect of the container or machine.
func ExampleLimits() {
	limits, err := sampler.Limits()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%.1f CPUs (%s), %d MiB (%s)\n", limits.CPUs, limits.CPUsFrom, limits.Memory>>20, limits.MemoryFrom)
}

// Configuration files name sources.
func ExampleNamed() {
	for _, name := range []string{"cpu", "disk"} {
		_, ok := sampler.Named(name)
		fmt.Println(name, ok)
	}
	// Output:
	// cpu true
	// disk false
}
