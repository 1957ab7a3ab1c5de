#!/bin/bash
exec > _scheduler-stdout.txt
exec 2> _scheduler-stderr.txt


export OMP_NUM_THREADS=1

'/work/tmp/venv/bin/aiida-alphacrystal-engine' '.'  > 'engine.out' 2> 'engine.err'
