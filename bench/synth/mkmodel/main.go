// Command mkmodel writes a checkpoint with random weights in the shape of a
// real model, to measure speed and memory with:
//
//	go run ./bench/synth/mkmodel --shape tinyllama-1.1b --out DIR [--layers 3] [--shards 2] [--dtype bf16] [--seed 0]
package main

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"qpt/bench/synth"
	"qpt/convert/safetensors"
)

func main() {
	names := strings.Join(slices.Sorted(maps.Keys(synth.Shapes)), ", ")
	shape := flag.String("shape", "", "one of "+names)
	out := flag.String("out", "", "folder to write, empty or not yet there")
	shards := flag.Int("shards", 1, "number of weight files")
	layers := flag.Int("layers", 0, "fewer or more layers than the model has")
	dtype := flag.String("dtype", "bf16", "bf16, f16 or f32")
	seed := flag.Uint64("seed", 0, "another seed gives other weights")
	flag.Parse()
	s, known := synth.Shapes[*shape]
	d, _ := safetensors.ParseDType(strings.ToUpper(*dtype))
	switch {
	case flag.NArg() > 0:
		usage("unexpected argument %q", flag.Arg(0))
	case !known:
		usage("--shape %q: must be one of %s", *shape, names)
	case *out == "":
		usage("--out is missing")
	case d != safetensors.BF16 && d != safetensors.F16 && d != safetensors.F32:
		usage("--dtype %q: must be bf16, f16 or f32", *dtype)
	case *shards < 1:
		usage("--shards %d: must be 1 or more", *shards)
	case *layers < 0:
		usage("--layers %d: must be 1 or more", *layers)
	case *layers > 0:
		s.Layers = *layers
	}
	start := time.Now()
	if err := synth.Write(*out, s, synth.Options{Seed: *seed, Shards: *shards, DType: d}); err != nil {
		fmt.Fprintln(os.Stderr, "mkmodel: error:", err)
		os.Exit(1)
	}
	took := time.Since(start).Seconds()
	bytes := float64(s.Params() * d.Bits() / 8)
	fmt.Fprintf(os.Stderr, "%s: %d parameters, %.2f GB in %.1f s (%.0f MB/s)\n", *out, s.Params(), bytes/1e9, took, bytes/1e6/took)
}

func usage(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "mkmodel: error: "+format+"\n", args...)
	os.Exit(2)
}
