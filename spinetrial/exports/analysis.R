# Second program: the primary and the main secondary results once more, from the exported files alone.
#
#   Rscript analysis.R            in the folder "analysis" of the unpacked export
#   Rscript analysis.R FOLDER     with the path of that folder
#
# Reads parameters.csv and csv/adsl.csv, adrs.csv, adae.csv, adtte.csv. Prints a summary and writes results_r.csv
# (key, value with 15 digits; NA where a number is not estimable) into the same folder. Nothing of the program that
# made the report is used: margin, level, visits, arms and cuts are those of the protocol as written into
# parameters.csv, the methods are written out below or are those of R.
#
# Packages: survival, cmprsk, nlme. What needs a package that is not installed is left out, and the summary says so.
# Exit status: 0, or 1 when a file is missing or a section broke off with an error.
#
# Not repeated here: multiple imputation (its numbers depend on a random stream) and the degrees of freedom of the
# mixed model (gls has no Satterthwaite approximation).

options(warn = 1, stringsAsFactors = FALSE, digits = 15)

# --- reading ---

# Bytes rather than a connection with an encoding: that would end at the first Chinese character in a C locale.
read_table <- function(path) {
  if (!file.exists(path)) stop("There is no file ", path, call. = FALSE)
  bytes <- readBin(path, "raw", file.size(path))
  if (length(bytes) >= 3 && all(bytes[1:3] == as.raw(c(0xef, 0xbb, 0xbf)))) bytes <- bytes[-(1:3)]
  text <- rawToChar(bytes)
  Encoding(text) <- "UTF-8"
  table <- read.csv(
    text = text, encoding = "UTF-8", colClasses = "character", na.strings = "", check.names = FALSE,
    strip.white = FALSE, comment.char = ""
  )
  # The export puts one apostrophe in front of a text that a spreadsheet could take for a formula.
  table[] <- lapply(table, function(column) sub("^'", "", column, useBytes = TRUE))
  table
}

needed <- function(table, columns, name) {
  absent <- setdiff(columns, names(table))
  if (length(absent)) stop(name, " has no column ", paste(absent, collapse = ", "), call. = FALSE)
  table
}

number <- function(text) as.numeric(text)
yes <- function(text) !is.na(text) & text == "1"
some <- function(package) requireNamespace(package, quietly = TRUE)

# --- results ---

found <- new.env()
found$key <- character()
found$value <- character()
found$failed <- character()

put <- function(key, value) {
  value <- if (length(value) != 1 || is.na(value) || identical(value, NaN)) "NA" else value
  found$key <- c(found$key, key)
  found$value <- c(found$value, if (is.numeric(value)) sprintf("%.15g", value) else as.character(value))
}

say <- function(...) cat(paste0(...), "\n", sep = "")
heading <- function(...) say("\n", ..., "\n", strrep("-", nchar(paste0(...))))
show <- function(value, digits = 4) {
  if (length(value) != 1 || is.na(value)) "not estimable" else formatC(value, format = "f", digits = digits)
}
limits <- function(pair, digits = 4) paste0("(", show(pair[1], digits), " to ", show(pair[2], digits), ")")

section <- function(title, packages, run) {
  heading(title)
  absent <- packages[!vapply(packages, some, logical(1))]
  if (length(absent)) {
    say("Left out: package ", paste(absent, collapse = ", "), " is not installed.")
    return(invisible())
  }
  tryCatch(run(), error = function(problem) {
    found$failed <- c(found$failed, title)
    say("BROKEN OFF: ", conditionMessage(problem))
  })
  invisible()
}

# --- proportions ---

# Clopper-Pearson.
exact_limits <- function(x, n, level) {
  if (n == 0) c(NA_real_, NA_real_) else as.numeric(binom.test(x, n, conf.level = level)$conf.int)
}

put_rate <- function(key, x, n, level) {
  put(paste0(key, ".x"), x)
  put(paste0(key, ".n"), n)
  put(paste0(key, ".rate"), if (n) x / n else NA)
  ends <- exact_limits(x, n, level)
  put(paste0(key, ".lower"), ends[1])
  put(paste0(key, ".upper"), ends[2])
}

# The control rate of the restricted maximum likelihood under p1 - p0 = d, elementwise. The log likelihood is concave in
# the control rate, so its derivative is halved down to its zero; where there is none inside, to the border.
restricted_rate <- function(x1, n1, x0, n0, d) {
  size <- max(length(x1), length(x0), length(d))
  x1 <- rep_len(x1, size); x0 <- rep_len(x0, size); d <- rep_len(d, size)
  low <- pmax(0, -d)
  high <- pmin(1, 1 - d)
  part <- function(count, rate) ifelse(count > 0, count / rate, 0)
  for (step in 1:100) {
    middle <- (low + high) / 2
    p1 <- middle + d
    slope <- part(x1, p1) - part(n1 - x1, 1 - p1) + part(x0, middle) - part(n0 - x0, 1 - middle)
    rising <- slope > 0
    low <- ifelse(rising, middle, low)
    high <- ifelse(rising, high, middle)
  }
  (low + high) / 2
}

# The variance is taken times N/(N-1) by Miettinen and Nurminen, as it is by Farrington and Manning.
score_factor <- function(method, n1, n0) if (method == "miettinen_nurminen") (n1 + n0) / (n1 + n0 - 1) else 1

# Variance of the observed difference at those rates.
restricted_variance <- function(x1, n1, x0, n0, d, factor) {
  p0 <- restricted_rate(x1, n1, x0, n0, d)
  p1 <- pmin(pmax(p0 + d, 0), 1)
  factor * (p1 * (1 - p1) / n1 + p0 * (1 - p0) / n0)
}

score_z <- function(x1, n1, x0, n0, margin, factor) {
  variance <- restricted_variance(x1, n1, x0, n0, margin, factor)
  ifelse(variance > 1e-15, (x1 / n1 - x0 / n0 - margin) / sqrt(variance), NA)
}

# The limits are the differences at which the score test is exactly significant.
score_limits <- function(x1, n1, x0, n0, level, factor) {
  z <- qnorm(1 - (1 - level) / 2)
  lower <- function(x1, n1, x0, n0) {
    observed <- x1 / n1 - x0 / n0
    if (observed <= -1) return(-1)
    beyond <- function(d) observed - d - z * sqrt(restricted_variance(x1, n1, x0, n0, d, factor))
    uniroot(beyond, c(-1 + 1e-12, observed - 1e-12), tol = 1e-14, maxiter = 1000)$root
  }
  c(lower(x1, n1, x0, n0), -lower(x0, n0, x1, n1))
}

# The interval of prop.test without correction is Wilson's; its warning is about the test, which is not used.
wilson_limits <- function(x, n, level) {
  ends <- as.numeric(suppressWarnings(prop.test(x, n, conf.level = level, correct = FALSE))$conf.int)
  c(if (x == 0) 0 else ends[1], if (x == n) 1 else ends[2])
}

# NULL for a method that is a test and no interval.
difference_limits <- function(x1, n1, x0, n0, method, level) {
  if (!method %in% c("miettinen_nurminen", "farrington_manning", "newcombe", "agresti_caffo")) return(NULL)
  if (n1 == 0 || n0 == 0) return(c(NA_real_, NA_real_))
  p1 <- x1 / n1
  p0 <- x0 / n0
  ends <- switch(method,
    miettinen_nurminen = ,
    farrington_manning = score_limits(x1, n1, x0, n0, level, score_factor(method, n1, n0)),
    newcombe = {
      w1 <- wilson_limits(x1, n1, level)
      w0 <- wilson_limits(x0, n0, level)
      p1 - p0 + c(-sqrt((p1 - w1[1])^2 + (w0[2] - p0)^2), sqrt((w1[2] - p1)^2 + (p0 - w0[1])^2))
    },
    agresti_caffo = {
      q1 <- (x1 + 1) / (n1 + 2)
      q0 <- (x0 + 1) / (n0 + 2)
      q1 - q0 + c(-1, 1) * qnorm(1 - (1 - level) / 2) * sqrt(q1 * (1 - q1) / (n1 + 2) + q0 * (1 - q0) / (n0 + 2))
    }
  )
  pmin(pmax(ends, -1), 1)
}

# Exact unconditional test: outcomes ordered by the Farrington-Manning score, largest tail over the control rate.
exact_unconditional <- function(x1, n1, x0, n0, margin) {
  if ((n1 + 1) * (n0 + 1) > 1e6) return(c(z = score_z(x1, n1, x0, n0, margin, 1), p = NA))
  a <- rep(0:n1, times = n0 + 1)
  b <- rep(0:n0, each = n1 + 1)
  observed <- score_z(x1, n1, x0, n0, margin, 1)
  extreme <- matrix(score_z(a, n1, b, n0, margin, 1) >= observed - 1e-9, n1 + 1, n0 + 1)
  tail <- function(rate) {
    sum(dbinom(0:n1, n1, min(max(rate + margin, 0), 1)) %*% (extreme * 1) * dbinom(0:n0, n0, rate))
  }
  low <- max(0, -margin)
  high <- min(1, 1 - margin)
  grid <- seq(low, high, length.out = 2001)
  values <- vapply(grid, tail, numeric(1))
  best <- max(values)
  for (place in head(order(values, decreasing = TRUE), 20)) {
    around <- c(grid[max(place - 1, 1)], grid[min(place + 1, length(grid))])
    best <- max(best, optimize(tail, around, maximum = TRUE, tol = 1e-12)$objective)
  }
  c(z = observed, p = min(best, 1))
}

noninferiority <- function(x1, n1, x0, n0, margin, method) {
  if (!method %in% c("miettinen_nurminen", "farrington_manning", "exact_unconditional")) return(NULL)
  if (n1 == 0 || n0 == 0) return(c(z = NA, p = NA))
  if (method == "exact_unconditional") return(exact_unconditional(x1, n1, x0, n0, margin))
  z <- score_z(x1, n1, x0, n0, margin, score_factor(method, n1, n0))
  c(z = z, p = pnorm(z, lower.tail = FALSE))
}

# `study` and `control`: TRUE, FALSE for each participant who counts. Returns the limits.
compare <- function(key, label, study, control, method, margin, level) {
  x1 <- sum(study); n1 <- length(study)
  x0 <- sum(control); n0 <- length(control)
  put_rate(paste0(key, ".study"), x1, n1, level)
  put_rate(paste0(key, ".control"), x0, n0, level)
  ends <- difference_limits(x1, n1, x0, n0, method, level)
  test <- noninferiority(x1, n1, x0, n0, margin, method)
  if (!is.null(ends)) {
    put(paste0(key, ".difference"), if (n1 && n0) x1 / n1 - x0 / n0 else NA)
    put(paste0(key, ".difference_lower"), ends[1])
    put(paste0(key, ".difference_upper"), ends[2])
  }
  if (!is.null(test)) {
    put(paste0(key, ".z"), test[["z"]])
    put(paste0(key, ".p"), test[["p"]])
  }
  say(
    label, ": ", x1, "/", n1, " v ", x0, "/", n0,
    if (!is.null(ends)) {
      paste0(", difference ", show(if (n1 && n0) x1 / n1 - x0 / n0 else NA), " ", limits(ends))
    },
    if (!is.null(test)) paste0(", one-sided p against ", margin, " ", show(test[["p"]], 5))
  )
  ends
}

# --- what is in the files ---

arguments <- commandArgs(trailingOnly = TRUE)
folder <- if (length(arguments)) arguments[1] else "."
if (!file.exists(file.path(folder, "parameters.csv"))) {
  message("There is no parameters.csv in ", folder, ": name the folder \"analysis\" of the unpacked export.")
  quit(status = 1)
}
sheet <- needed(read_table(file.path(folder, "parameters.csv")), c("name", "value"), "parameters.csv")
parameter <- function(name) {
  value <- sheet$value[sheet$name == name]
  if (length(value) != 1) stop("parameters.csv does not name ", name, " once", call. = FALSE)
  value
}
parameters <- function(prefix) {
  own <- startsWith(sheet$name, paste0(prefix, "."))
  structure(sheet$value[own], names = substring(sheet$name[own], nchar(prefix) + 2))
}
listed <- function(name) {
  value <- parameter(name)
  if (is.na(value)) character() else strsplit(value, ";", fixed = TRUE)[[1]]
}

level <- number(parameter("level"))
margin <- number(parameter("margin"))
alpha <- number(parameter("alpha"))
method <- parameter("method")
primary_visit <- parameter("primary_visit")
reading <- parameter("reading")
responders <- listed("responders")
codes <- c(study = parameter("study_arm"), control = parameter("control_arm"))
days_per_month <- number(parameter("days_per_month"))

adsl <- needed(
  read_table(file.path(folder, "csv", "adsl.csv")),
  c("subject", "arm", "nrs_baseline", "omed_baseline", "itt", "safety", "pp", "os_days", "os_event"), "adsl.csv"
)
adrs <- needed(
  read_table(file.path(folder, "csv", "adrs.csv")), c("subject", "arm", "visit", "nrs", "omed", "ne_reason", "missing"),
  "adrs.csv"
)
adae <- needed(
  read_table(file.path(folder, "csv", "adae.csv")),
  c("subject", "arm", "ctcae_code", "term", "worst_grade", "treated"), "adae.csv"
)
timed <- file.exists(file.path(folder, "csv", "adtte.csv"))
adtte <- if (timed) {
  needed(
    read_table(file.path(folder, "csv", "adtte.csv")), c("subject", "arm", "paramcd", "days", "status"), "adtte.csv"
  )
}
category_column <- function(which) paste0("response_", tolower(which))
adrs <- needed(adrs, category_column(c(reading, unname(parameters("sensitivity_reading")))), "adrs.csv")
adrs$nrs <- number(adrs$nrs)
adrs$omed <- number(adrs$omed)
at_baseline <- match(adrs$subject, adsl$subject)
adrs$nrs_baseline <- number(adsl$nrs_baseline)[at_baseline]
adrs$omed_baseline <- number(adsl$omed_baseline)[at_baseline]

# Rows of a table in the order of the participants of an arm at one visit.
at_visit <- function(visit, subjects) {
  here <- adrs[adrs$visit == visit, ]
  here[match(subjects, here$subject), ]
}
subjects_of <- function(arm, flag) adsl$subject[!is.na(adsl$arm) & adsl$arm == codes[[arm]] & yes(adsl[[flag]])]

say("SpineTrial, second program. ", R.version.string, ", protocol ", parameter("protocol_version"), ".")
say("Study arm ", codes[["study"]], ", control arm ", codes[["control"]], "; ", nrow(adsl), " participants.")

# --- the derived files agree with each other ---

# Category of the consensus (Chow 2002, 2012) by the protocol's decisions, from pain and opioid dose alone.
category_of <- function(rows, which) {
  points <- number(parameter("pain_points"))
  percent <- number(parameter("analgesic_percent"))
  before <- rows$nrs_baseline; after <- rows$nrs
  m0 <- rows$omed_baseline; m1 <- rows$omed
  change <- after - before
  moved <- (m1 - m0) * 100
  slack <- 1e-9 * pmax(1, m0)
  rose <- ifelse(m0 == 0, m1 > 0, moved >= percent * m0 - slack)
  fell <- m0 > 0 & moved <= -percent * m0 + slack
  increase <- if (which == "TOLERANT") rose else m1 > m0
  if (which == "NRS_ONLY") {
    category <- ifelse(change <= -points, ifelse(after == 0, "CR", "PR"), ifelse(change >= points, "PP", "IR"))
    unknown <- is.na(before) | is.na(after)
  } else {
    category <- ifelse(after == 0 & !increase, "CR",
      ifelse((change <= -points & !increase) | (fell & change <= 0), "PR",
        ifelse((change >= points & !rose & !fell) | (rose & change >= 0 & change < points), "PP",
          ifelse(change >= points & rose, parameter("pain_and_omed_up"), "IR"))))
    unknown <- is.na(before) | is.na(after) | is.na(m0) | is.na(m1)
  }
  ifelse(unknown | before == 0 | (!is.na(rows$ne_reason) & rows$ne_reason == "intervention"), "NE", category)
}

section("Agreement of the files", character(), function() {
  for (which in unique(c(reading, unname(parameters("sensitivity_reading"))))) {
    # Pain alone does not ask for the dose; whether its row was decided by a treatment does then not show.
    open <- which == "NRS_ONLY" & !is.na(adrs$ne_reason) & adrs$ne_reason == "baseline_analgesics_unknown"
    rows <- adrs[!open, ]
    wrong <- if (nrow(rows)) sum(category_of(rows, which) != rows[[category_column(which)]]) else 0
    put(paste0("check.category.", which), wrong)
    say("Categories of the reading ", which, " that do not follow from pain and opioid dose: ", wrong)
  }
  strangers <- sum(!adrs$subject %in% adsl$subject) + sum(!adae$subject %in% adsl$subject) +
    (if (timed) sum(!adtte$subject %in% adsl$subject) else 0)
  put("check.strangers", strangers)
  say("Rows of participants who are not in adsl.csv: ", strangers)
  if (timed) {
    os <- adtte[adtte$paramcd == "OS", ]
    mine <- match(adsl$subject, os$subject)
    wrong <- sum(is.na(mine) | os$days[mine] != adsl$os_days | yes(os$status[mine]) != yes(adsl$os_event))
    put("check.survival", wrong)
    say("Survival times that differ between adtte.csv and adsl.csv: ", wrong)
  }
})

# --- primary endpoint ---

# TRUE or FALSE per participant; NA: left out. `unknown`: what a response that is not evaluable stands for.
responds <- function(subjects, arm, which = reading, unknown = parameter("missing")) {
  rows <- at_visit(primary_visit, subjects)
  category <- rows[[category_column(which)]]
  counted <- category %in% responders
  if (unknown == "complete_case") counted[category == "NE"] <- NA
  if (unknown == "worst_case") counted[category == "NE" & yes(rows$missing) & arm == "control"] <- TRUE
  counted
}

compare_sets <- function(key, label, flag, method, margin, ...) {
  outcome <- lapply(c(study = "study", control = "control"), function(arm) {
    mine <- responds(subjects_of(arm, flag), arm, ...)
    mine[!is.na(mine)]
  })
  compare(key, label, outcome$study, outcome$control, method, margin, level)
}

section(paste("Primary endpoint: response at", primary_visit), character(), function() {
  sets <- listed("sets")
  ends <- lapply(sets, function(set) compare_sets(paste0("primary.", set), set, tolower(set), method, margin))
  names(ends) <- sets
  lower <- vapply(ends, function(pair) pair[1], numeric(1))
  upper <- vapply(ends, function(pair) pair[2], numeric(1))
  conclusion <- if (!length(ends) || anyNA(c(lower, upper))) {
    "not_estimable"
  } else if (all(lower > margin)) {
    if ("ITT" %in% sets && lower[["ITT"]] > 0) "superior" else "non_inferior"
  } else if (all(upper < margin)) {
    "inferior"
  } else {
    "inconclusive"
  }
  put("primary.conclusion", conclusion)
  say("Conclusion (lower limit above ", margin, " in ", paste(sets, collapse = " and "), "): ", conclusion)
})

# Every way to fill the unknown responses in. Death and retreatment are outcomes, not unknown.
tipping <- function(key, label) {
  counts <- lapply(c(study = "study", control = "control"), function(arm) {
    rows <- at_visit(primary_visit, subjects_of(arm, "itt"))
    open <- yes(rows$missing)
    list(x = sum(rows[[category_column(reading)]][!open] %in% responders), n = nrow(rows), open = sum(open))
  })
  s <- counts$study
  k <- counts$control
  put(paste0(key, ".missing_study"), s$open)
  put(paste0(key, ".missing_control"), k$open)
  p <- matrix(NA_real_, s$open + 1, k$open + 1)
  if (s$n && k$n) {
    p[] <- pnorm(
      score_z(s$x + row(p) - 1, s$n, k$x + col(p) - 1, k$n, margin, score_factor(method, s$n, k$n)),
      lower.tail = FALSE
    )
  }
  claimed <- sum(!is.na(p) & p <= alpha)
  put(paste0(key, ".cells"), length(p))
  put(paste0(key, ".noninferior"), claimed)
  put(paste0(key, ".worst"), p[1, k$open + 1])
  put(paste0(key, ".best"), p[s$open + 1, 1])
  say(label, ": unknown ", s$open, " v ", k$open, "; non-inferior in ", claimed, " of ", length(p), " cells")
}

section("Sensitivity analyses of the primary endpoint (ITT)", character(), function() {
  methods <- parameters("sensitivity_method")
  for (code in names(methods)) compare_sets(paste0("sensitivity.", code), code, "itt", methods[[code]], margin)
  readings <- parameters("sensitivity_reading")
  for (code in names(readings)) {
    compare_sets(paste0("sensitivity.", code), code, "itt", method, margin, which = readings[[code]])
  }
  margins <- parameters("sensitivity_margin")
  for (code in names(margins)) compare_sets(paste0("sensitivity.", code), code, "itt", method, number(margins[[code]]))
  handling <- parameters("sensitivity_missing")
  for (code in names(handling)) {
    if (handling[[code]] %in% c("complete_case", "all_fail", "worst_case")) {
      compare_sets(paste0("sensitivity.", code), code, "itt", method, margin, unknown = handling[[code]])
    } else if (handling[[code]] == "tipping_point") {
      tipping(paste0("sensitivity.", code), code)
    } else {
      say(code, ": not repeated here")
    }
  }
})

# --- response at every visit ---

section("Response at each visit, all randomised", character(), function() {
  for (visit in listed("visits")) {
    x <- n <- c(study = 0, control = 0)
    for (arm in names(codes)) {
      rows <- at_visit(visit, subjects_of(arm, "itt"))
      category <- rows[[category_column(reading)]]
      key <- paste("visit", visit, arm, sep = ".")
      counted <- table(factor(category, listed("categories")))
      for (each in names(counted)) put(paste0(key, ".", each), as.numeric(counted[[each]]))
      x[[arm]] <- sum(category %in% responders)
      n[[arm]] <- nrow(rows)
      put_rate(key, x[[arm]], n[[arm]], level)
      put_rate(paste0(key, ".evaluable"), x[[arm]], sum(category != "NE"), level)
      say(
        visit, " ", arm, ": ", paste(names(counted), counted, collapse = ", "),
        "; response ", x[[arm]], "/", n[[arm]], " ", limits(exact_limits(x[[arm]], n[[arm]], level))
      )
    }
    ends <- difference_limits(x[["study"]], n[["study"]], x[["control"]], n[["control"]], method, level)
    put(paste("visit", visit, "difference_lower", sep = "."), ends[1])
    put(paste("visit", visit, "difference_upper", sep = "."), ends[2])
    say(visit, " difference: ", limits(ends))
  }
})

# --- pain score ---

pain_rows <- function(visits) {
  rows <- adrs[adrs$visit %in% visits & adrs$subject %in% adsl$subject[yes(adsl$itt)], ]
  rows <- rows[!is.na(rows$nrs) & !is.na(rows$nrs_baseline), ]
  rows$study <- as.numeric(rows$arm == codes[["study"]])
  rows[rows$arm %in% codes, ]
}

# Whether the data determine the covariance: the restricted likelihood, written out here, must be curved in every
# direction at the fit. (The approximate covariance that nlme reports fails near a correlation of 1.)
determined <- function(fit, rows, unstructured) {
  k <- max(rows$place)
  spread <- rep(fit$sigma, k)
  if (k > 1) {
    ratios <- coef(fit$modelStruct$varStruct, unconstrained = FALSE, allCoef = TRUE)
    spread <- fit$sigma * as.numeric(ratios[rows$visit[match(seq_len(k), rows$place)]])
  }
  r <- diag(k)
  if (k > 1) {
    r[lower.tri(r)] <- coef(fit$modelStruct$corStruct, unconstrained = FALSE)
    r[upper.tri(r)] <- t(r)[upper.tri(r)]
  }
  design <- model.matrix(~ 0 + cell + before, rows)
  patients <- split(seq_len(nrow(rows)), rows$subject)
  lower <- lower.tri(r)
  covariance <- function(theta) {
    if (unstructured) {
      factor <- diag(k)
      factor[lower] <- theta[-seq_len(k)]
      return(tcrossprod(exp(theta[seq_len(k)]) * factor))
    }
    shape <- diag(k)
    shape[row(shape) != col(shape)] <- tanh(theta[-seq_len(k)])
    exp(theta[seq_len(k)]) * t(exp(theta[seq_len(k)]) * shape)
  }
  minus_likelihood <- function(theta) {
    whole <- covariance(theta)
    information <- 0
    score <- 0
    rest <- 0
    for (own in patients) {
      place <- rows$place[own]
      v <- whole[place, place, drop = FALSE]
      x <- design[own, , drop = FALSE]
      inverse <- solve(v)
      information <- information + t(x) %*% inverse %*% x
      score <- score + t(x) %*% inverse %*% rows$nrs[own]
      rest <- rest + determinant(v)$modulus + t(rows$nrs[own]) %*% inverse %*% rows$nrs[own]
    }
    as.numeric(determinant(information)$modulus + rest - t(score) %*% solve(information, score)) / 2
  }
  if (unstructured) {
    root <- t(chol(spread * t(spread * r)))
    start <- c(log(diag(root)), (root / diag(root))[lower])
  } else {
    start <- c(log(spread), if (k > 1) atanh(r[2, 1]))
  }
  curvature <- eigen(optimHess(start, minus_likelihood, control = list(ndeps = rep(1e-4, length(start)))))$values
  min(curvature) > 1e-6 * max(curvature)
}

# REML with the covariance named: every variance and correlation of its own, or one correlation for all pairs of
# visits. NULL where the data do not determine it.
fit_repeated <- function(rows, unstructured) {
  several <- length(unique(rows$visit)) > 1
  correlation <- if (several && unstructured) {
    nlme::corSymm(form = ~ place | subject)
  } else if (several) {
    nlme::corCompSymm(form = ~ 1 | subject)
  }
  tryCatch({
    fit <- nlme::gls(
      nrs ~ 0 + cell + before,
      data = rows, method = "REML", correlation = correlation,
      weights = if (several) nlme::varIdent(form = ~ 1 | visit),
      control = nlme::glsControl(maxIter = 500, msMaxIter = 2000, tolerance = 1e-10, msTol = 1e-12, apVar = FALSE)
    )
    if (determined(fit, rows, unstructured)) fit
  }, error = function(problem) NULL)
}

section("Pain score, mixed model for repeated measures (REML)", "nlme", function() {
  visits <- listed("visits")
  rows <- pain_rows(visits)
  for (visit in visits) {
    for (arm in names(codes)) {
      put(paste("mmrm", visit, paste0("n_", arm), sep = "."), sum(rows$visit == visit & rows$arm == codes[[arm]]))
    }
  }
  # One mean per arm and visit that somebody was seen at, one slope for baseline, which is centred so that the
  # adjusted means are those at the mean baseline of the patients.
  rows$cell <- factor(paste(rows$arm, rows$visit))
  rows$place <- as.integer(factor(match(rows$visit, visits)))
  rows$before <- rows$nrs_baseline - mean(rows$nrs_baseline[!duplicated(rows$subject)])
  rows <- rows[order(rows$subject, rows$place), ]
  fit <- NULL
  covariance <- NA
  if (length(unique(rows$arm)) == 2 && length(unique(rows$nrs_baseline)) > 1 && nrow(rows) > nlevels(rows$cell) + 1) {
    fit <- fit_repeated(rows, TRUE)
    if (!is.null(fit)) covariance <- "unstructured"
    if (is.null(fit)) {
      fit <- fit_repeated(rows, FALSE)
      if (!is.null(fit)) covariance <- "compound_symmetry_heterogeneous"
    }
  }
  put("mmrm.covariance", covariance)
  say("Covariance: ", if (is.na(covariance)) "not determined" else gsub("_", " ", covariance))
  for (visit in visits) {
    key <- paste0("mmrm.", visit)
    cells <- paste0("cell", codes, " ", visit)
    estimable <- !is.null(fit) && all(cells %in% names(coef(fit)))
    difference <- se <- mean1 <- mean0 <- NA
    if (estimable) {
      mean1 <- coef(fit)[[cells[1]]]
      mean0 <- coef(fit)[[cells[2]]]
      difference <- mean1 - mean0
      spread <- vcov(fit)[cells, cells]
      se <- sqrt(spread[1, 1] + spread[2, 2] - 2 * spread[1, 2])
    }
    put(paste0(key, ".difference"), difference)
    put(paste0(key, ".se"), se)
    put(paste0(key, ".mean_study"), mean1)
    put(paste0(key, ".mean_control"), mean0)
    say(visit, ": difference ", show(difference), ", standard error ", show(se))
  }
})

# Study minus control by ranks, of the score itself or of its change from baseline.
by_ranks <- function(key, label, x, y) {
  put(paste0(key, ".n_study"), length(x))
  put(paste0(key, ".n_control"), length(y))
  p <- u <- shift <- NA
  ends <- c(NA, NA)
  if (length(x) && length(y)) {
    if (length(unique(c(x, y))) > 1) p <- wilcox.test(x, y, exact = FALSE, correct = TRUE)$p.value
    u <- sum(outer(x, y, ">")) + sum(outer(x, y, "==")) / 2
    apart <- sort(outer(x, y, "-"))
    shift <- median(apart)
    # Interval of Moses: the k-th smallest and the k-th largest difference, k by the normal approximation.
    pairs <- length(x) * length(y)
    k <- floor(pairs / 2 - qnorm(1 - (1 - level) / 2) * sqrt(pairs * (length(x) + length(y) + 1) / 12))
    if (k >= 1) ends <- c(apart[k], apart[pairs + 1 - k])
  }
  put(paste0(key, ".u"), u)
  put(paste0(key, ".p"), p)
  put(paste0(key, ".shift"), shift)
  put(paste0(key, ".shift_lower"), ends[1])
  put(paste0(key, ".shift_upper"), ends[2])
  say(label, ": shift ", show(shift, 1), " ", limits(ends, 1), ", p ", show(p, 5))
}

section("Pain score by ranks, with Hodges-Lehmann shift", character(), function() {
  for (visit in listed("visits")) {
    scored <- adrs$visit == visit & !is.na(adrs$nrs) & adrs$subject %in% adsl$subject[yes(adsl$itt)]
    score <- lapply(codes, function(code) adrs$nrs[scored & adrs$arm == code])
    by_ranks(paste0("ranks.", visit, ".score"), paste(visit, "score"), score$study, score$control)
    rows <- pain_rows(visit)
    change <- split(rows$nrs - rows$nrs_baseline, factor(rows$study, c(1, 0)))
    by_ranks(paste0("ranks.", visit, ".change"), paste(visit, "change"), change[["1"]], change[["0"]])
  }
})

section(paste("Pain score at", primary_visit, "adjusted for baseline"), character(), function() {
  rows <- pain_rows(primary_visit)
  difference <- se <- p <- NA
  ends <- c(NA, NA)
  if (length(unique(rows$study)) == 2 && length(unique(rows$nrs_baseline)) > 1 && nrow(rows) > 3) {
    fit <- lm(nrs ~ study + nrs_baseline, data = rows)
    if (!anyNA(coef(fit))) {
      difference <- coef(fit)[["study"]]
      # A fit without residuals has no standard error but rounding errors; of those the warning tells.
      short <- suppressWarnings(summary(fit))
      if (short$sigma > 1e-12 * max(1, abs(rows$nrs))) {
        se <- coef(short)["study", "Std. Error"]
        p <- coef(short)["study", "Pr(>|t|)"]
        ends <- confint(fit, "study", level = level)
      }
    }
  }
  put("ancova.n_study", sum(rows$study == 1))
  put("ancova.n_control", sum(rows$study == 0))
  put("ancova.difference", difference)
  put("ancova.se", se)
  put("ancova.p", p)
  put("ancova.lower", ends[1])
  put("ancova.upper", ends[2])
  say("Difference ", show(difference), " ", limits(ends), ", p ", show(p, 5))
})

# --- times to an event ---

months <- number(listed("read_at_months"))

# Median with its limits, in the time unit of the fit; the table of R rather than quantile(), which takes the middle of
# the last stretch up to a censoring when the curve ends at one half.
median_of <- function(fit) tail(as.numeric(summary(fit)$table), 3)

section("Overall survival", "survival", function() {
  rows <- adsl[adsl$arm %in% codes & yes(adsl$itt), ]
  rows$time <- number(rows$os_days)
  rows$died <- as.numeric(yes(rows$os_event))
  rows$study <- as.numeric(rows$arm == codes[["study"]])
  for (arm in names(codes)) {
    mine <- rows[rows$arm == codes[[arm]], ]
    key <- paste0("survival.", arm)
    put(paste0(key, ".n"), nrow(mine))
    put(paste0(key, ".events"), sum(mine$died))
    middle <- c(NA, NA, NA)
    if (nrow(mine)) {
      fit <- survival::survfit(survival::Surv(time, died) ~ 1, data = mine, conf.type = "log-log", conf.int = level)
      middle <- median_of(fit) / days_per_month
    }
    put(paste0(key, ".median"), middle[1])
    put(paste0(key, ".median_lower"), middle[2])
    put(paste0(key, ".median_upper"), middle[3])
    follow <- NA
    if (nrow(mine)) {
      reverse <- survival::survfit(survival::Surv(time, 1 - died) ~ 1, data = mine, conf.type = "log-log")
      follow <- median_of(reverse)[1] / days_per_month
    }
    put(paste0(key, ".follow_up"), follow)
    say(
      arm, ": ", sum(mine$died), " deaths of ", nrow(mine),
      ", median ", show(middle[1], 1), " ", limits(middle[2:3], 1), " months"
    )
    for (month in months) {
      at <- c(NA, NA, NA)
      if (nrow(mine)) {
        point <- summary(fit, times = month * days_per_month, extend = TRUE)
        at <- c(point$surv, point$lower, point$upper)
        # Past the last observation the curve is not known unless it has come down to 0.
        if (month * days_per_month > max(mine$time) && at[1] > 0) at <- c(NA, NA, NA)
        # R gives limits of a curve that is 0 or 1; the log-log interval has none there.
        if (!is.na(at[1]) && (at[1] <= 0 || at[1] >= 1)) at[2:3] <- NA
      }
      put(paste0(key, ".month_", month), at[1])
      put(paste0(key, ".month_", month, "_lower"), at[2])
      put(paste0(key, ".month_", month, "_upper"), at[3])
      say("  month ", month, ": ", show(at[1]), " ", limits(at[2:3]))
    }
  }
  chi2 <- p <- hazard <- low <- high <- NA
  per_arm <- c(sum(rows$study == 1), sum(rows$study == 0))
  deaths <- c(sum(rows$died[rows$study == 1]), sum(rows$died[rows$study == 0]))
  if (all(per_arm > 0) && sum(deaths)) {
    test <- tryCatch(
      survival::survdiff(survival::Surv(time, died) ~ study, data = rows),
      error = function(problem) NULL
    )
    if (!is.null(test) && is.matrix(test$var) && test$var[1, 1] > 1e-10) {
      chi2 <- test$chisq
      p <- pchisq(chi2, 1, lower.tail = FALSE)
    }
    if (all(deaths > 0)) {
      fit <- tryCatch(
        survival::coxph(
          survival::Surv(time, died) ~ study, data = rows, ties = "efron",
          control = survival::coxph.control(eps = 1e-11, iter.max = 100)
        ),
        warning = function(problem) {
          say("No hazard ratio: ", conditionMessage(problem))
          NULL
        }
      )
      if (!is.null(fit)) {
        hazard <- exp(coef(fit)[["study"]])
        ends <- exp(confint(fit, level = level))
        low <- ends[1]
        high <- ends[2]
      }
    }
  }
  put("survival.logrank.chi2", chi2)
  put("survival.logrank.p", p)
  put("survival.hazard_ratio", hazard)
  put("survival.hazard_ratio_lower", low)
  put("survival.hazard_ratio_upper", high)
  say("Log-rank p ", show(p, 5), ", hazard ratio ", show(hazard), " ", limits(c(low, high)))
})

# Interval of a cumulative incidence on the log-log scale.
incidence_limits <- function(estimate, variance) {
  if (is.na(estimate) || estimate <= 0 || estimate >= 1 - 1e-12 || variance <= 0) return(c(NA, NA))
  spread <- qnorm(1 - (1 - level) / 2) * sqrt(variance) / (estimate * abs(log(estimate)))
  c(estimate^exp(spread), estimate^exp(-spread))
}

competing <- function(code) {
  rows <- adtte[adtte$paramcd == code & adtte$arm %in% codes, ]
  days <- number(rows$days)
  status <- number(rows$status)
  for (arm in names(codes)) {
    mine <- rows$arm == codes[[arm]]
    key <- paste("incidence", code, arm, sep = ".")
    put(paste0(key, ".n"), sum(mine))
    put(paste0(key, ".events"), sum(status[mine] == 1))
    put(paste0(key, ".competing"), sum(status[mine] == 2))
    for (month in months) {
      estimate <- NA
      ends <- c(NA, NA)
      at <- month * days_per_month
      if (any(mine) && (at <= max(days[mine]) || all(status[mine] != 0 | days[mine] < max(days[mine])))) {
        estimate <- 0
        if (any(status[mine] == 1)) {
          curve <- cmprsk::cuminc(days[mine], status[mine])[["1 1"]]
          place <- sum(curve$time <= at)
          estimate <- if (place) curve$est[place] else 0
          ends <- incidence_limits(estimate, if (place) curve$var[place] else 0)
        }
      }
      put(paste0(key, ".month_", month), estimate)
      put(paste0(key, ".month_", month, "_lower"), ends[1])
      put(paste0(key, ".month_", month, "_upper"), ends[2])
    }
    say(
      code, " ", arm, ": ", sum(status[mine] == 1), " events, ", sum(status[mine] == 2), " deaths without it, of ",
      sum(mine)
    )
  }
  statistic <- p <- NA
  if (all(codes %in% rows$arm) && any(status == 1)) {
    tests <- cmprsk::cuminc(days, status, rows$arm)$Tests
    # cmprsk marks a variance of zero by -1.
    if ("1" %in% rownames(tests) && is.finite(tests["1", "stat"]) && tests["1", "stat"] >= 0) {
      statistic <- tests["1", "stat"]
      p <- pchisq(statistic, tests["1", "df"], lower.tail = FALSE)
    }
  }
  put(paste("incidence", code, "gray", sep = "."), statistic)
  put(paste("incidence", code, "p", sep = "."), p)
  say(code, ": Gray's test p ", show(p, 5))
}

section("Cumulative incidence with death competing", "cmprsk", function() {
  if (!timed) return(say("Left out: the export has no adtte.csv."))
  for (code in setdiff(unique(adtte$paramcd), "OS")) competing(code)
})

# --- toxicity ---

section("Adverse events: worst grade per participant and term, of those treated", character(), function() {
  cuts <- parameters("toxicity")
  treated <- lapply(c(study = "study", control = "control"), subjects_of, flag = "safety")
  events <- adae[yes(adae$treated) & adae$subject %in% unlist(treated), ]
  for (code in sort(unique(events$ctcae_code))) {
    mine <- events[events$ctcae_code == code, ]
    for (cut in names(cuts)) {
      had <- unique(mine$subject[number(mine$worst_grade) >= number(cuts[[cut]])])
      x <- vapply(treated, function(subjects) sum(subjects %in% had), numeric(1))
      n <- lengths(treated)
      p <- NA
      if (all(n > 0)) p <- fisher.test(rbind(x, n - x))$p.value
      key <- paste("toxicity", code, cut, sep = ".")
      put(paste0(key, ".study.x"), x[["study"]])
      put(paste0(key, ".study.n"), n[["study"]])
      put(paste0(key, ".control.x"), x[["control"]])
      put(paste0(key, ".control.n"), n[["control"]])
      put(paste0(key, ".p"), p)
      say(
        mine$term[1], " ", cut, ": ", x[["study"]], "/", n[["study"]], " v ", x[["control"]], "/", n[["control"]],
        ", Fisher p ", show(p, 5)
      )
    }
  }
  if (!nrow(events)) say("None.")
})

# --- baseline ---

standardised <- function(difference, variance) {
  if (is.na(difference) || is.na(variance)) return(NA)
  if (difference == 0) return(0)
  if (variance > 0) difference / sqrt(variance) else NA
}

# Mahalanobis distance of the shares of the levels, the first left out; by the generalised inverse.
categorical_distance <- function(x, y) {
  if (!length(x) || !length(y)) return(NA)
  levels <- sort(unique(c(x, y)))
  p <- (table(factor(x, levels)) / length(x))[-1]
  q <- (table(factor(y, levels)) / length(y))[-1]
  if (!length(p)) return(0)
  apart <- as.numeric(p - q)
  spread <- (diag(p, length(p)) - outer(p, p) + diag(q, length(q)) - outer(q, q)) / 2
  axes <- eigen(spread, symmetric = TRUE)
  kept <- axes$values > 1e-12 * max(axes$values, 0)
  along <- as.numeric(t(axes$vectors) %*% apart)
  # A difference in a direction without variance: a combination of levels tells the arms apart.
  if (any(abs(along[!kept]) > 1e-9)) return(NA)
  sqrt(sum(along[kept]^2 / axes$values[kept]))
}

section("Baseline: standardised differences", character(), function() {
  all_of <- lapply(c(study = "study", control = "control"), function(arm) {
    adsl[match(subjects_of(arm, "itt"), adsl$subject), ]
  })
  for (name in listed("baseline_numbers")) {
    values <- lapply(all_of, function(rows) number(rows[[name]][!is.na(rows[[name]])]))
    spread <- if (all(lengths(values) > 1)) (var(values$study) + var(values$control)) / 2 else NA
    apart <- if (all(lengths(values) > 0)) mean(values$study) - mean(values$control) else NA
    smd <- standardised(apart, spread)
    for (arm in names(values)) {
      put(paste("baseline", name, arm, "n", sep = "."), length(values[[arm]]))
      put(paste("baseline", name, arm, "mean", sep = "."), if (length(values[[arm]])) mean(values[[arm]]) else NA)
      put(paste("baseline", name, arm, "sd", sep = "."), if (length(values[[arm]]) > 1) sd(values[[arm]]) else NA)
    }
    put(paste("baseline", name, "smd", sep = "."), smd)
    say(name, ": ", show(smd, 3))
  }
  for (name in listed("baseline_codes")) {
    values <- lapply(all_of, function(rows) rows[[name]][!is.na(rows[[name]])])
    smd <- categorical_distance(values$study, values$control)
    put(paste("baseline", name, "smd", sep = "."), smd)
    say(name, " (", length(unique(unlist(values))), " levels, distance without sign): ", show(smd, 3))
  }
})

# --- end ---

write.csv(
  data.frame(key = found$key, value = found$value), file.path(folder, "results_r.csv"),
  row.names = FALSE, quote = FALSE
)
say("\n", length(found$key), " values in results_r.csv.")
if (length(found$failed)) {
  message("Broken off: ", paste(found$failed, collapse = "; "))
  quit(status = 1)
}
