package kernels

import (
	"bufio"
	"fmt"
	"os"
	"testing"
)

// shape is a linear layer to measure, a line of testdata/shapes.txt.
type shape struct{ m, n, k int }

func shapes(tb testing.TB) (s []shape) {
	f, err := os.Open("testdata/shapes.txt")
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	for in := bufio.NewScanner(f); in.Scan(); {
		var v shape
		if n, _ := fmt.Sscan(in.Text(), &v.m, &v.n, &v.k); n == 3 {
			s = append(s, v)
		}
	}
	return s
}
