package queue_test

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/queue"
)

// A service reads its limits from a file, and again when it is told that the file has changed.
func ExampleLoad() {
	sys, _ := penstock.New()
	defer sys.Close(context.Background())

	err := queue.Load(sys, strings.NewReader(`
queues:
  api:
    regulators:
      - rate: 100
      - counter: {limit: 2}
    max_size: none
`))
	if err != nil {
		panic(err)
	}
	api, _ := queue.Get(sys, "api")
	fmt.Println(api.Config().Regulators[1].(queue.Counter).Limit)

	// A mistake changes nothing, and says where it is.
	err = queue.Load(sys, strings.NewReader(`
queues:
  api:
    regulators: [{rate: 50}, {counter: 4}]
    max_sze: none
`))
	var bad *queue.LoadError
	fmt.Println(errors.As(err, &bad), bad.Line, bad.Key)
	fmt.Println(api.Config().Regulators[1].(queue.Counter).Limit)

	err = queue.Load(sys, strings.NewReader(`
queues:
  api:
    regulators: [{rate: 50}, {counter: 4}]
    max_size: none
`))
	fmt.Println(err, api.Config().Regulators[1].(queue.Counter).Limit)
	// Output:
	// 2
	// true 5 queues.api.max_sze
	// 2
	// <nil> 4
}
