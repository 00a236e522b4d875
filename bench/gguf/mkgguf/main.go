// Command mkgguf writes a Llama checkpoint as GGUF, for llama.cpp to run beside us:
//
//	go run ./bench/gguf/mkgguf --in DIR --type q4_0 --out FILE
package main

import (
	"flag"
	"fmt"
	"os"
	"time"

	"qpt/bench/gguf"
)

func main() {
	in := flag.String("in", "", "checkpoint folder")
	out := flag.String("out", "", "file to write")
	typ := flag.String("type", "q4_0", "of the matrices: bf16, f32, q4_0 or q8_0")
	flag.Parse()
	t, err := gguf.ParseType(*typ)
	switch {
	case flag.NArg() > 0:
		usage("unexpected argument %q", flag.Arg(0))
	case *in == "" || *out == "":
		usage("--in and --out are needed")
	case err != nil:
		usage("--type: %v", err)
	}
	start := time.Now()
	if err := gguf.Convert(*in, *out, t); err != nil {
		fmt.Fprintln(os.Stderr, "mkgguf: error:", err)
		os.Exit(1)
	}
	fmt.Fprintf(os.Stderr, "%s: %.1f s\n", *out, time.Since(start).Seconds())
}

func usage(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "mkgguf: error: "+format+"\n", args...)
	os.Exit(2)
}
