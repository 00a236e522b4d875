// Command active prints how many bytes of weights a pass reads: of a mixture of experts, those that are chosen.
//
//	go run ./bench/active FILE.qpt...
//
// A decoded token reads the matrices that every token meets and, of each mixture, the experts it is routed to; rows of a
// prompt share what they read, on even routing. The share of one token is of all weights.
package main

import (
	"fmt"
	"os"

	"qpt/internal/ui"
	"qpt/runtime"
)

func main() {
	table := ui.NewTable("file", "weights", "1 token", "share", "16 rows", "256 rows")
	for _, path := range os.Args[1:] {
		m, err := runtime.Load(path, runtime.Options{})
		if err != nil {
			fmt.Fprintln(os.Stderr, "active: error:", err)
			os.Exit(1)
		}
		var all int64
		for _, b := range m.Mapped() {
			all += int64(len(b))
		}
		read := func(n int) string { return ui.Size(int64(m.Cost(0, n).Bytes)) }
		table.Row(path, ui.Size(all), read(1), fmt.Sprintf("%.1f %%", 100*m.Cost(0, 1).Bytes/float64(all)), read(16), read(256))
		m.Close()
	}
	if err := table.Print(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "active: error:", err)
		os.Exit(1)
	}
}
