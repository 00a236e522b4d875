package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
)

// notCompared begins what a test logs, in capitals, that passes without having
// done all it is there for: hashes of another machine, goldens that are not here.
var notCompared = regexp.MustCompile(`\bNOT (RUN|COMPARED): (.*)`)

// goTest runs go test with args and prints the lines of packages and all that
// failing tests say; and, at the end, how many tests were skipped and why, for
// what nobody counts goes on being skipped for ever.
func goTest(args ...string) error {
	cmd := exec.Command("go", append([]string{"test", "-json", "-vet=off"}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return fmt.Errorf("go test: %w", err)
	}
	skips, err := readTests(out, os.Stdout)
	if err := errors.Join(err, cmd.Wait()); err != nil {
		return fmt.Errorf("go test %s: %w", strings.Join(args, " "), err)
	}
	total := 0
	for _, n := range skips {
		total += n
	}
	fmt.Printf("check: %d skipped or not compared\n", total)
	for _, why := range slices.Sorted(maps.Keys(skips)) {
		fmt.Printf("check: %6d  %s\n", skips[why], why)
	}
	return nil
}

// readTests passes on what matters of test2json's events and counts what was skipped, by reason.
func readTests(r io.Reader, w io.Writer) (skips map[string]int, err error) {
	skips = map[string]int{}
	said := map[[2]string][]string{} // by package and test
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) == 0 && err == io.EOF {
			return skips, nil
		} else if err != nil && err != io.EOF {
			return skips, err
		}
		var e struct{ Action, Package, ImportPath, Test, Output string }
		if json.Unmarshal(line, &e) != nil {
			fmt.Fprint(w, string(line)) // the compiler's words
			continue
		}
		key := [2]string{e.Package, e.Test}
		switch e.Action {
		case "build-output":
			fmt.Fprint(w, e.Output)
		case "output":
			if m := notCompared.FindStringSubmatch(e.Output); m != nil {
				skips[strings.TrimPrefix(e.Package, "qpt/")+": "+m[2]]++
			}
			if e.Test == "" {
				if strings.HasPrefix(e.Output, "ok ") || strings.HasPrefix(e.Output, "FAIL\t") {
					fmt.Fprint(w, e.Output)
				} else {
					said[key] = append(said[key], e.Output)
				}
				continue
			}
			said[key] = append(said[key], e.Output)
		case "skip":
			if e.Test != "" { // a package without tests otherwise
				skips[strings.TrimPrefix(e.Package, "qpt/")+": "+reason(said[key])]++
			}
			delete(said, key)
		case "fail":
			fmt.Fprint(w, strings.Join(said[key], ""))
			delete(said, key)
		case "pass":
			delete(said, key)
		}
	}
}

// reason is what a skipped test gave as one: its last line but those of the test's frame.
func reason(said []string) (why string) {
	for _, s := range said {
		s = strings.TrimSpace(s)
		if s != "" && !strings.HasPrefix(s, "===") && !strings.HasPrefix(s, "---") {
			why = s
		}
	}
	if _, after, ok := strings.Cut(why, ": "); ok { // the place
		why = after
	}
	return why
}
