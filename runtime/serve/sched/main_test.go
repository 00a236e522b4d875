package sched

import (
	"testing"

	"qpt/runtime/lm/lmtest"
)

func TestMain(m *testing.M) { lmtest.Main(m) }
