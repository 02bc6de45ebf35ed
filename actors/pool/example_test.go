package pool_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/png"
	"time"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/pool"
)

func Example() {
	ctx := context.Background()
	sys, err := penstock.New()
	if err != nil {
		panic(err)
	}
	defer sys.Close(ctx)
	p, err := pool.New(sys, "dangerous", pool.Config{MaxWorkers: 4})
	if err != nil {
		panic(err)
	}
	n, err := pool.Run(ctx, p, pool.Task{Name: "square"}, func(context.Context) (int, error) { return 10 * 10, nil })
	fmt.Println(n, err)
	_, err = pool.Run(ctx, p, pool.Task{Name: "slow", MaxTime: 10 * time.Millisecond}, func(ctx context.Context) (int, error) {
		<-ctx.Done()
		return 0, ctx.Err()
	})
	fmt.Println(err)
	_, err = pool.Run(ctx, p, pool.Task{Name: "broken"}, func(context.Context) (int, error) { panic("out of hand") })
	var panicked *penstock.PanicError
	fmt.Println(errors.As(err, &panicked), panicked.Value)
	// Output:
	// 100 <nil>
	// pool "dangerous": task "slow" took more than 10ms to complete
	// true out of hand
}

// Two customers share a bigger pool. Neither can take all of it.
func Example_customers() {
	ctx := context.Background()
	sys, err := penstock.New()
	if err != nil {
		panic(err)
	}
	defer sys.Close(ctx)
	shared, err := pool.New(sys, "shared", pool.Config{MaxMemory: 10 << 30})
	if err != nil {
		panic(err)
	}
	customers := make(map[string]*pool.Pool)
	for _, name := range []string{"ada", "grace"} {
		if customers[name], err = pool.New(sys, name, pool.Config{MaxMemory: 5 << 30, DelegateTo: shared}); err != nil {
			panic(err)
		}
	}
	large := pool.Task{Name: "report", MaxMemory: 5 << 30}
	running, err := pool.Async(ctx, customers["ada"], large, func(ctx context.Context) (string, error) {
		<-ctx.Done()
		return "", ctx.Err()
	})
	if err != nil {
		panic(err)
	}
	_, err = pool.Run(ctx, customers["ada"], pool.Task{Name: "small", MaxMemory: 1 << 20}, func(context.Context) (int, error) { return 1, nil })
	fmt.Println(err)
	_, err = pool.Run(ctx, customers["grace"], large, func(context.Context) (int, error) { return 1, nil })
	fmt.Println(err)
	fmt.Println(shared.Kill("report", nil)) // kills go down to those who delegate
	_, err = running.Await(ctx)
	fmt.Println(err)
	// Output:
	// pool "ada": task "small" was rejected: insufficient memory: it asks for 1048576 bytes, and 0 are free
	// <nil>
	// 1
	// pool "ada": task "report" was killed: the user killed it
}

// Thumbnails of pictures that users send: a picture says how large it is, so a task can declare what it will take before
// anything is decoded. One that asks for more than there is in all is rejected, whatever it claims to be.
func Example_pictures() {
	ctx := context.Background()
	sys, err := penstock.New()
	if err != nil {
		panic(err)
	}
	defer sys.Close(ctx)
	pictures, err := pool.New(sys, "pictures", pool.Config{MaxWorkers: 2, MaxMemory: 64 << 20, MaxWaiting: 100})
	if err != nil {
		panic(err)
	}
	thumbnail := func(upload []byte) (image.Rectangle, error) {
		cfg, err := png.DecodeConfig(bytes.NewReader(upload))
		if err != nil {
			return image.Rectangle{}, err
		}
		task := pool.Task{Name: "thumbnail", MaxMemory: 8 * int64(cfg.Width) * int64(cfg.Height), MaxTime: time.Minute}
		return pool.Run(ctx, pictures, task, func(ctx context.Context) (image.Rectangle, error) {
			full, err := png.Decode(bytes.NewReader(upload))
			if err != nil {
				return image.Rectangle{}, err
			}
			small := image.NewRGBA(image.Rect(0, 0, 32, 32))
			b := full.Bounds()
			for y := range 32 {
				if err := ctx.Err(); err != nil {
					return image.Rectangle{}, err // somebody killed it, or its time is up
				}
				for x := range 32 {
					small.Set(x, y, full.At(b.Min.X+x*b.Dx()/32, b.Min.Y+y*b.Dy()/32))
				}
			}
			return small.Bounds(), nil
		})
	}
	for _, side := range []int{200, 4000} {
		var upload bytes.Buffer
		if err := png.Encode(&upload, image.NewGray(image.Rect(0, 0, side, side))); err != nil {
			panic(err)
		}
		bounds, err := thumbnail(upload.Bytes())
		fmt.Println(bounds.Dx(), err)
	}
	// Output:
	// 32 <nil>
	// 0 pool "pictures": task "thumbnail" was rejected: insufficient memory: it asks for 128000000 bytes, and 67108864 are free
}
