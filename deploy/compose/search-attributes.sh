#!/bin/sh
# The search attributes that groupclaim's workflows set (workflows/search.py); made once, and again
# without harm.
set -e
for pair in Stage:Keyword HoldCode:Keyword PayerKey:Keyword WorkQueue:Keyword \
    DueAt:Datetime BilledCents:Int OpenCents:Int; do
  temporal operator search-attribute create --name "${pair%%:*}" --type "${pair##*:}" \
    --namespace default || temporal operator search-attribute list | grep -q "${pair%%:*}"
done
