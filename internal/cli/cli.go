// Package cli is what the command lines of qconv and qrun have in common: flags
// that mean the same in both, errors and their exit codes, the version.
//
//	func main() { os.Exit(cli.Run(root(), cli.Errors{BadInput: isBadInput})) }
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"qpt/internal/outfile"
	"qpt/internal/ui"
	"qpt/internal/version"
)

// ErrUsage marks wrong flags and arguments.
var ErrUsage = errors.New("wrong usage")

// Errors tells Run what errors are about. Usage are further errors like
// ErrUsage; BadInput says whether an error is about the contents of an input file, Hint, if there is one, what to do then.
type Errors struct {
	Usage    []error
	BadInput func(error) bool
	Hint     func(error) string
}

// Run carries out a root command and returns the exit code; atKill is for ui.Run.
func Run(root *cobra.Command, e Errors, atKill ...func()) int {
	setup(root)
	return ui.Run(root.Name(), func(ctx context.Context) error {
		c, err := root.ExecuteContextC(ctx)
		return e.classify(c.CommandPath(), err)
	}, atKill...)
}

// classify gives an error of a command its exit code and hint.
func (e *Errors) classify(name string, err error) error {
	var exit *ui.ExitError
	if err == nil || errors.As(err, &exit) || errors.Is(err, context.Canceled) {
		return err
	}
	for _, u := range append(e.Usage, ErrUsage, outfile.ErrInput) {
		if errors.Is(err, u) {
			return &ui.ExitError{Code: ui.Usage, Err: usageError{err}, Hint: "see " + name + " --help"}
		}
	}
	switch {
	case e.BadInput(err):
		hint := ""
		if e.Hint != nil {
			hint = e.Hint(err)
		}
		return &ui.ExitError{Code: ui.BadInput, Err: err, Hint: hint}
	case errors.Is(err, fs.ErrNotExist):
		return &ui.ExitError{Code: ui.Failure, Err: err, Hint: "check the path"}
	}
	return err
}

// usageError leaves out what the exit code and the hint say.
type usageError struct{ error }

func (e usageError) Error() string { return strings.TrimPrefix(e.error.Error(), ErrUsage.Error()+": ") }
func (e usageError) Unwrap() error { return e.error }

// setup makes a root command leave errors to Run, and adds --version and --cpuprofile.
func setup(c *cobra.Command) {
	c.Version = Version()
	c.SilenceErrors, c.SilenceUsage = true, true
	c.SetOut(ui.Stdout)
	c.SetUsageTemplate(strings.ReplaceAll(c.UsageTemplate(), ".FlagUsages ", fmt.Sprintf(".FlagUsagesWrapped %d ", ui.Width(ui.Stdout)))) // 0 wraps nothing
	c.SetFlagErrorFunc(flagError)
	c.Flags().Bool("version", false, "print the version") // without a short form: -v is --verbose
	var profile string
	var stop func()
	c.PersistentFlags().StringVar(&profile, "cpuprofile", "", "write a CPU profile to `FILE` (for go tool pprof)")
	c.PersistentPreRunE = func(c *cobra.Command, args []string) (err error) {
		c.Flags().Visit(func(f *pflag.Flag) { // any of them may name a file
			if f.Name != "cpuprofile" {
				args = append(args, f.Value.String())
			}
		})
		if err := outfile.Check(profile, args...); err != nil {
			return err
		}
		stop, err = ui.Profile(profile)
		return err
	}
	c.PersistentPostRun = func(*cobra.Command, []string) { stop() }
}

// Version is that of the module.
func Version() string { return version.String() }

// Output are the flags that say what is printed.
type Output struct{ JSON, Quiet bool }

// Flags adds them for c and its subcommands.
func (o *Output) Flags(c *cobra.Command) {
	f := c.PersistentFlags()
	f.BoolVar(&o.JSON, "json", false, "print one JSON document on stdout")
	f.BoolVarP(&o.Quiet, "quiet", "q", false, "print no progress")
}

// Verbosity is how progress is to be shown.
func (o *Output) Verbosity() ui.Verbosity {
	switch {
	case o.Quiet:
		return ui.Silent
	case o.JSON:
		return ui.Lines
	}
	return ui.Auto
}

// Document prints v as the command's only output.
func Document(v any) error {
	e := json.NewEncoder(ui.Stdout)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// ISA adds the flag --isa, whose value is for ui.UseISA; note ends its help.
func ISA(f *pflag.FlagSet, isa *string, note string) {
	f.StringVar(isa, "isa", "", "highest instruction set to use, a `LEVEL` of "+strings.Join(Levels, ", ")+note)
}

// Levels are the values of --isa.
var Levels = []string{"generic", "avx2", "avxvnni", "avx512", "amx"}
