package cli

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"qpt/internal/ui"
)

// Limit is a number as a flag, which counts only when it was given.
type Limit struct {
	Value float64
	Given bool
}

func (l *Limit) String() string { return "" }
func (l *Limit) Type() string   { return "number" }

// Set implements pflag.Value.
func (l *Limit) Set(s string) error {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(v) {
		return errors.New("want a number")
	}
	*l = Limit{v, true}
	return nil
}

// Share is a part of a whole as a flag: 95% or 0.95 and nothing else, for 95
// could mean either. Growth may pass 100%.
type Share struct {
	Limit
	Growth bool
}

func (s *Share) Type() string { return "share" }

// Set implements pflag.Value.
func (s *Share) Set(text string) error {
	digits, percent := strings.CutSuffix(text, "%")
	v, err := strconv.ParseFloat(digits, 64)
	if percent {
		v /= 100
	}
	switch {
	case err != nil || !(v >= 0) || math.IsInf(v, 0):
		return errors.New("want a share such as 95% or 0.95")
	case v > 1 && !percent:
		return fmt.Errorf("a share is 1 at most: did you mean %s%%?", digits)
	case v > 1 && !s.Growth:
		return errors.New("a share is 100% at most")
	}
	s.Limit = Limit{v, true}
	return nil
}

// Model adds the flag --model for c, among its flags f, and lets the shell complete .qpt files.
func Model(c *cobra.Command, f *pflag.FlagSet, model *string) {
	f.StringVarP(model, "model", "m", "", ".qpt `FILE`, also as the first argument")
	CompleteFiles(c, "model", "qpt")
	CompleteFiles(c, "", "qpt")
}

// ModelArg fills model from the only argument: a .qpt file may be given by --model or as the first argument.
func ModelArg(c *cobra.Command, args []string, model *string) error {
	switch {
	case len(args) > 1 || len(args) == 1 && *model != "":
		return fmt.Errorf("%w: %s takes one model: unexpected argument %q", ErrUsage, c.CommandPath(), args[len(args)-1])
	case len(args) == 1:
		*model = args[0]
	case *model == "":
		return fmt.Errorf("%w: which .qpt file? give it with --model or as the first argument", ErrUsage)
	}
	return nil
}

// CompleteFiles lets the shell complete a flag, or the arguments if it is "", with files of these endings.
func CompleteFiles(c *cobra.Command, flag string, endings ...string) {
	list := func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return endings, cobra.ShellCompDirectiveFilterFileExt
	}
	if flag == "" {
		c.ValidArgsFunction = list
	} else if err := c.RegisterFlagCompletionFunc(flag, list); err != nil {
		panic(err)
	}
}

// CompleteWords lets the shell complete a flag with one of these words.
func CompleteWords(c *cobra.Command, flag string, words ...string) {
	if err := c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err)
	}
}

// Threads checks the flag --threads, 0 for all cores. More workers than cores
// only wait for each other (2.3 times the time of a decoded token with 8 on 2),
// so what is above takes all cores, with a note.
func Threads(name string, n int, quiet bool) (int, error) {
	if n < 0 {
		return 0, fmt.Errorf("%w: --threads %d: must be 1 or more, or 0 for all cores", ErrUsage, n)
	}
	if cores := runtime.NumCPU(); n > cores {
		if !quiet {
			ui.Note(name, "--threads %d: there are %d cores here, which are used; more would only wait for each other", n, cores)
		}
		n = cores
	}
	return n, nil
}
